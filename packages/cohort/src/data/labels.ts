/** Which images of a dataset have labels: those that are learned from without them may hold both kinds. */
import type { ImageDataset, ImageSplit } from './dataset.ts';
import { takeImages } from './loading/subset.ts';
import type { ImagePixels } from './loading/pixelSource.ts';

/** Name of the class that stands for having no label. */
export const UNLABELLED = 'unlabelled';

/** Whether there are two classes or more to tell apart. */
export function hasLabels(dataset: Pick<ImageDataset, 'classes' | 'unlabelledClass'>): boolean {
  return dataset.classes.length - (dataset.unlabelledClass === undefined ? 0 : 1) >= 2;
}

/** How many images of a split have no label. */
export function countUnlabelled(
  { labels }: Pick<ImageSplit, 'labels'>,
  { unlabelledClass }: Pick<ImageDataset, 'unlabelledClass'>,
): number {
  return unlabelledClass === undefined
    ? 0
    : Array.from(labels).filter((label) => label === unlabelledClass).length;
}

/** The images of a split that have a label; the split itself where all have one. */
export function labelledImages(
  split: ImageSplit<ImagePixels>,
  dataset: Pick<ImageDataset, 'channels' | 'height' | 'width' | 'unlabelledClass'>,
): ImageSplit<ImagePixels> {
  if (countUnlabelled(split, dataset) === 0) return split;
  const rows = Array.from({ length: split.count }, (_, row) => row);
  return takeImages(
    split,
    dataset,
    Int32Array.from(rows.filter((row) => split.labels[row] !== dataset.unlabelledClass)),
  );
}
