/** Takes a smaller split in which every class keeps its share, so that short runs stay representative. */
import type { ImageDataset, ImageShape, ImageSplit } from '../dataset.ts';
import { imageBytes } from '../dataset.ts';
import { DataError } from '../errors.ts';
import type { ImagePixels } from './pixelSource.ts';
import { RANDOM_PURPOSE, shuffleInPlace } from './random.ts';

/** What {@link stratifiedSubset} takes. */
export interface SubsetOptions {
  /** Images to keep. */
  count: number;
  /** Number of classes of the dataset. */
  classCount: number;
  seed: number;
  /** Keeps this choice unrelated to others with the same seed; an entry of `RANDOM_PURPOSE`, `subset` unless given. */
  purpose?: number;
  /** Images of every class that must not be taken; 0 unless given. */
  leave?: number;
  /** The setting that asks for the images, for the message: `data.trainImages`. */
  setting?: string;
  /** What else may be done than change it, for the message; that null takes all or none unless given. */
  otherwise?: string;
  /** How the count came about, for the message, where the setting says it in another way: `0.05 of 64`. */
  origin?: string;
}

/**
 * The split's images at `indices`, in that order: copied where they lie in memory, a view of a source.
 * @throws {@link DataError} `argument` for an index outside of the split.
 */
export function takeImages<Pixels extends ImagePixels>(
  split: ImageSplit<Pixels>,
  shape: ImageShape,
  indices: Int32Array,
): ImageSplit<Pixels>;
export function takeImages(
  split: ImageSplit<ImagePixels>,
  shape: ImageShape,
  indices: Int32Array,
): ImageSplit<ImagePixels> {
  const labels = new Int32Array(indices.length);
  for (const [row, index] of indices.entries()) {
    const label = split.labels[index];
    if (label === undefined) {
      throw new DataError('argument', {
        operation: 'taking images of a split',
        expected: `indices from 0 to ${split.count - 1}`,
        received: `${index}`,
        remedy: 'Take indices of the same split.',
      });
    }
    labels[row] = label;
  }
  const { images, fileOf } = split;
  const taken =
    images instanceof Uint8Array ? copyRows(images, imageBytes(shape), indices) : images.select(indices);
  return {
    images: taken,
    labels,
    count: indices.length,
    ...(fileOf === undefined ? {} : { fileOf: (row: number) => fileOf(indices[row] ?? 0) }),
  };
}

function copyRows(images: Uint8Array, size: number, indices: Int32Array): Uint8Array {
  const rows = new Uint8Array(indices.length * size);
  for (const [row, index] of indices.entries()) {
    rows.set(images.subarray(index * size, (index + 1) * size), row * size);
  }
  return rows;
}

/**
 * Positions of a seeded subset of `count` images, ascending. Every class that occurs gets its share by largest
 * remainder, and at least one image where more than `leave` are there. With one seed the choice inside a class grows with the class's share: what a small
 * subset holds of a class is also in every larger one that takes more of that class.
 * @throws {@link DataError} `argument` when `count` is more than there are, or too few for one image of every class.
 */
export function stratifiedIndices(labels: Uint8Array | Int32Array, options: SubsetOptions): Int32Array {
  const { count, classCount, seed, purpose = RANDOM_PURPOSE.subset, leave = 0 } = options;
  const { setting = 'the number of images', origin } = options;
  const { otherwise = `null takes ${leave === 0 ? 'all' : 'none'}` } = options;
  const members = Array.from({ length: classCount }, (): number[] => []);
  for (const [index, label] of labels.entries()) {
    const ofClass = members[label];
    if (ofClass === undefined) {
      throw new DataError('label', {
        operation: 'taking a stratified subset',
        expected: `labels from 0 to ${classCount - 1} (${classCount} classes)`,
        received: `label ${label} at position ${index}`,
        remedy: 'Check that the labels belong to this dataset.',
      });
    }
    ofClass.push(index);
  }
  const shares = classShares(
    members.map((ofClass) => ofClass.length),
    { count, leave, received: origin === undefined ? `${count}` : `${count} (${origin})` },
    `Change ${setting}; ${otherwise}.`,
  );
  const chosen = members.flatMap((ofClass, label) =>
    shuffleInPlace(ofClass, purpose, seed, label).slice(0, shares[label] ?? 0),
  );
  return Int32Array.from(chosen).sort();
}

/** A stratified seeded subset of a split; `count` null keeps the split as it is. See {@link stratifiedIndices}. */
export function stratifiedSubset<Pixels extends ImagePixels>(
  split: ImageSplit<Pixels>,
  dataset: Pick<ImageDataset, 'channels' | 'height' | 'width' | 'classes'>,
  options: { count: number | null; seed: number; setting?: string },
): ImageSplit<Pixels> {
  if (options.count === null) return split;
  const indices = stratifiedIndices(split.labels, {
    classCount: dataset.classes.length,
    ...options,
    count: options.count,
  });
  return takeImages(split, dataset, indices);
}

/** How many of `count` each class gets: largest remainder, and at least one for every class that can give one. */
function classShares(
  classSizes: readonly number[],
  options: { count: number; leave: number; received: string },
  remedy: string,
): number[] {
  const { count, leave, received } = options;
  const total = classSizes.reduce((sum, size) => sum + size, 0);
  const most = classSizes.map((size) => Math.max(0, size - leave));
  const available = most.reduce((sum, size) => sum + size, 0);
  const present = most.filter((size) => size > 0).length;
  if (!Number.isInteger(count) || count > available || count < present || count < 1) {
    const all = leave === 0 ? 'all' : `all but ${leave} of every class`;
    throw new DataError('argument', {
      operation: 'taking a stratified subset',
      expected: `a whole number of images from ${present} (one of every class) to ${available} (${all})`,
      received,
      remedy,
    });
  }
  const quotas = classSizes.map((size) => (size * count) / total);
  const shares = quotas.map((quota, label) => Math.min(most[label] ?? 0, Math.max(1, Math.floor(quota))));
  let missing = count - shares.reduce((sum, share) => sum + share, 0);
  const changeOne = (step: 1 | -1, allowed: (label: number) => boolean): void => {
    let best = -1;
    let bestGap = -Infinity;
    for (const [label, quota] of quotas.entries()) {
      const gap = step * (quota - (shares[label] ?? 0));
      if (allowed(label) && gap > bestGap) [best, bestGap] = [label, gap];
    }
    shares[best] = (shares[best] ?? 0) + step;
  };
  // Up: the class furthest below its quota; down (after tiny classes were raised to one image): the furthest above.
  for (; missing > 0; missing -= 1) changeOne(1, (label) => (shares[label] ?? 0) < (most[label] ?? 0));
  for (; missing < 0; missing += 1) changeOne(-1, (label) => (shares[label] ?? 0) > 1);
  return shares;
}
