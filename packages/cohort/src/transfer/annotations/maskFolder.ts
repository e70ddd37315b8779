/** Folders of images with a mask of class numbers for each: CamVid's layout, `images` beside `masks`, and splits inside of either. */
import { basename, join, parse } from 'node:path';
import type { AnnotatedSplitName, Problems } from './annotated.ts';
import { imageNames, isFile, isFolder, ImageFinder, readText } from './files.ts';

/** An image and its mask. */
export interface MaskPair {
  readonly file: string;
  readonly maskFile: string;
}

const splitFolders: Readonly<Record<AnnotatedSplitName, readonly string[]>> = {
  train: ['train', 'training'],
  validation: ['val', 'valid', 'validation'],
  test: ['test', 'testing'],
};
const imageFolders = ['images', 'image', 'img', 'imgs', 'JPEGImages'];
const maskFolders = ['masks', 'mask', 'labels', 'annotations', 'SegmentationClass'];

/** Places where a folder may have the images and masks of a split. */
function candidates(root: string, split: AnnotatedSplitName): [images: string, masks: string][] {
  const names = splitFolders[split];
  return names.flatMap((name): [string, string][] => [
    ...['-labels', '_labels', 'annot', '-masks', '_masks'].map((suffix): [string, string] => [
      join(root, name),
      join(root, `${name}${suffix}`),
    ]),
    ...imageFolders.flatMap((images) =>
      maskFolders.flatMap((masks): [string, string][] => [
        [join(root, images, name), join(root, masks, name)],
        [join(root, name, images), join(root, name, masks)],
      ]),
    ),
  ]);
}

/** The folders of each split; null where there are none. */
export function findMaskFolders(
  root: string,
): Map<AnnotatedSplitName, [images: string, masks: string]> | null {
  const found = new Map<AnnotatedSplitName, [string, string]>();
  for (const split of ['train', 'validation', 'test'] as const) {
    const pair = candidates(root, split).find(([images, masks]) => isFolder(images) && isFolder(masks));
    if (pair !== undefined) found.set(split, pair);
  }
  if (found.size > 0) return found;
  for (const images of imageFolders) {
    for (const masks of maskFolders) {
      if (isFolder(join(root, images)) && isFolder(join(root, masks))) {
        return new Map([['train', [join(root, images), join(root, masks)]]]);
      }
    }
  }
  return null;
}

/** The images of a folder with their masks, which have the same name up to the ending, perhaps with `_mask` or the like. */
export function pairMasks([images, masks]: readonly [string, string], problems: Problems): MaskPair[] {
  const finder = new ImageFinder(masks);
  return imageNames(images).flatMap((name) => {
    const stem = parse(name).name;
    const maskFile = ['', '_mask', '-mask', '_L', '_label', '_labels']
      .map((suffix) => finder.find(`${stem}${suffix}`))
      .find((found) => found !== null);
    if (maskFile != null) return [{ file: join(images, name), maskFile }];
    problems.add('missingFile', `mask of ${basename(images)}/${name}`);
    return [];
  });
}

/** Class names from `classes.txt` or `labels.txt`, a line each; null where a folder has neither. */
export async function readClassNames(root: string): Promise<string[] | null> {
  for (const name of ['classes.txt', 'labels.txt']) {
    const path = join(root, name);
    if (!isFile(path)) continue;
    const lines = (await readText(path, 1_000_000)).split(/\r?\n/).map((line) => line.trim());
    const names = lines.filter((line) => line !== '');
    if (names.length > 0) return names;
  }
  return null;
}
