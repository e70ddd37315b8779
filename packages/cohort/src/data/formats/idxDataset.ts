/** Puts four IDX files together to a dataset, because all of the MNIST family differ only in folder, name and classes. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isNothingThere } from '@cohort-ml/errors';
import type { DatasetAbout } from '../about.ts';
import { howToGet } from '../about.ts';
import type { DatasetEntry, DatasetOptions, ImageDataset, ImageShape, ImageSplit } from '../dataset.ts';
import { checkSplit, NO_IMAGES } from '../dataset.ts';
import { DataError } from '../errors.ts';
import { datasetPlaces } from '../places.ts';
import { readIdx } from './idx.ts';
import { transposePlanes } from './transpose.ts';

/** What tells one dataset of the MNIST family from another. */
export interface IdxDatasetDescription {
  readonly name: string;
  readonly about: DatasetAbout;
  readonly classes: readonly string[];
  /** What the names of a split's files begin with: `train` for `train-images-idx3-ubyte`. */
  readonly prefixes?: Readonly<Record<'train' | 'test', string>>;
  /** The first class's label in the files; 0 unless given. */
  readonly firstLabel?: number;
  /** Folders below the one that a user names in which torchvision, Kaggle and other tools keep the files. */
  readonly innerFolders: readonly string[];
  /** True where pictures are stored column by column. */
  readonly transposed?: boolean;
}

const MNIST_PREFIXES = { train: 'train', test: 't10k' } as const;
const FILE_ENDS = ['images-idx3-ubyte', 'labels-idx1-ubyte'] as const;

/** A dataset of the MNIST family for the registry. */
export function idxDatasetEntry(description: IdxDatasetDescription): DatasetEntry {
  const { name, about } = description;
  return {
    name,
    about,
    find: async (options) =>
      (await firstFolderWithFiles(placesOf(description, options), description)) ?? null,
    load: (options) => loadIdxDataset(description, options),
  };
}

/**
 * Loads both splits of a dataset of the MNIST family from the first of its places that has its files
 * ({@link datasetPlaces}).
 * @throws {@link DataError} as {@link readIdx}, and `missing` naming the file and every folder looked in, `mismatch`,
 *   `label` and `empty`.
 */
export async function loadIdxDataset(
  description: IdxDatasetDescription,
  options: DatasetOptions,
): Promise<ImageDataset> {
  const { name, classes, about, prefixes = MNIST_PREFIXES } = description;
  const { systemFolder } = about;
  const named = datasetPlaces(about.folder, options, systemFolder);
  const folders = placesOf(description, options);
  const folder = await firstFolderWithFiles(folders, description);
  const load = async (split: 'train' | 'test'): Promise<ImageSplit> => {
    // A folder that has some of the files is the only one read, so that two copies are never mixed.
    const places = folder === undefined ? named : [folder];
    const [images, labels] = FILE_ENDS.map((end) => `${prefixes[split]}-${end}`) as [string, string];
    if (options.partial === true && folder !== undefined) {
      // The folder was chosen for having some of the files: where none is of this split, they are of the other.
      const found = await Promise.all([images, labels].map((file) => hasFile(folder, file)));
      if (!found.includes(true)) return NO_IMAGES;
    }
    const imagesPath = await findFile(images, places, description);
    const labelsPath = await findFile(labels, places, description);
    return loadSplit(imagesPath, labelsPath, description);
  };
  return { name, classes, ...about.shape, train: await load('train'), test: await load('test') };
}

/** Every place with the folders below it in which other tools keep the files. */
function placesOf({ about, innerFolders }: IdxDatasetDescription, options: DatasetOptions): string[] {
  const inner = ['', 'raw', 'gzip', ...innerFolders];
  return datasetPlaces(about.folder, options, about.systemFolder).flatMap((place) =>
    inner.map((folder) => join(place, folder)),
  );
}

async function loadSplit(
  imagesPath: string,
  labelsPath: string,
  description: IdxDatasetDescription,
): Promise<ImageSplit> {
  const shape: ImageShape = description.about.shape;
  const images = await readIdx(imagesPath, { dimensions: 3 });
  const labels = await readIdx(labelsPath, { dimensions: 1 });
  const [imageCount = 0, height = 0, width = 0] = images.shape;
  const [labelCount = 0] = labels.shape;
  const operation = `loading ${description.name} from ${imagesPath}`;
  if (imageCount === 0) {
    throw new DataError('empty', {
      operation,
      expected: 'at least one image',
      received: '0 images',
      remedy: howToGet(description.name, description.about),
      path: imagesPath,
    });
  }
  if (height !== shape.height || width !== shape.width) {
    throw new DataError('mismatch', {
      operation,
      expected: `images of ${shape.height} x ${shape.width} pixels`,
      received: `${height} x ${width}`,
      remedy: `These are not ${description.name}'s files. ${howToGet(description.name, description.about)}`,
      path: imagesPath,
    });
  }
  if (imageCount !== labelCount) {
    throw new DataError('mismatch', {
      operation,
      expected: `as many labels as images (${imageCount})`,
      received: `${labelCount} labels in ${labelsPath}`,
      remedy: 'Use images and labels of the same split and the same download.',
      path: labelsPath,
    });
  }
  const { firstLabel = 0, transposed = false, classes } = description;
  const split = {
    images: transposed ? transposePlanes(images.values, height) : images.values,
    // Signed, so that a label below the first is refused instead of wrapping round.
    labels: firstLabel === 0 ? labels.values : Int32Array.from(labels.values, (label) => label - firstLabel),
    count: imageCount,
  };
  checkSplit(split, shape, classes.length, labelsPath);
  return split;
}

/** The spellings of a file, in the order they are looked for: compressed first, with a dot, in a folder of its own name. */
function spellings(name: string): string[] {
  const dotted = name.replace(/-(idx\d)/, '.$1');
  return [
    `${name}.gz`,
    name,
    `${dotted}.gz`,
    dotted,
    join(name, name),
    join(dotted, dotted),
    join(name, dotted),
  ];
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    // What only cannot be reached counts as there, so that reading it tells the true reason.
    return !isNothingThere(error);
  }
}

async function firstFolderWithFiles(
  folders: readonly string[],
  { prefixes = MNIST_PREFIXES }: IdxDatasetDescription,
): Promise<string | undefined> {
  const names = Object.values(prefixes).flatMap((prefix) => FILE_ENDS.map((end) => `${prefix}-${end}`));
  for (const folder of folders) {
    for (const name of names) if (await hasFile(folder, name)) return folder;
  }
  return undefined;
}

/** Whether a folder has the file in one of its spellings. */
async function hasFile(folder: string, name: string): Promise<boolean> {
  for (const spelling of spellings(name)) if (await isFile(join(folder, spelling))) return true;
  return false;
}

async function findFile(
  name: string,
  folders: readonly string[],
  description: IdxDatasetDescription,
): Promise<string> {
  for (const folder of folders) {
    for (const spelling of spellings(name)) {
      const path = join(folder, spelling);
      if (await isFile(path)) return path;
    }
  }
  throw new DataError('missing', {
    operation: `loading ${description.name}`,
    expected: `file ${name}.gz or ${name}`,
    received: `none in ${folders.join(', ')}`,
    remedy: howToGet(description.name, description.about),
    path: name,
  });
}
