/** Puts four IDX files together to a dataset, because all of the MNIST family differ only in folder, name and classes. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatasetOptions, ImageDataset, ImageShape, ImageSplit } from './dataset.ts';
import { checkSplit } from './dataset.ts';
import { DataError, errorCode } from './errors.ts';
import { readIdx } from './idx.ts';

/** What tells one dataset of the MNIST family from another. */
export interface IdxDatasetDescription {
  name: string;
  classes: readonly string[];
  height: number;
  width: number;
  /** Folders to look in when no path was given, first one first. */
  usualFolders: readonly string[];
  /** How to get the files, as a sentence. */
  remedyWhenMissing: string;
}

const SPLIT_PREFIXES = { train: 'train', test: 't10k' } as const;

/**
 * Loads both splits of a dataset of the MNIST family from the first folder that has its files. When `options.path` is
 * given, only that folder counts: silently training on another copy would be worse than stopping.
 * @throws {@link DataError} as {@link readIdx}, and `missing` naming the file and every folder looked in, `mismatch`,
 *   `label` and `empty`.
 */
export async function loadIdxDataset(
  description: IdxDatasetDescription,
  options: DatasetOptions,
): Promise<ImageDataset> {
  const folders = options.path == null ? description.usualFolders : [options.path];
  const folder = await firstFolderWithFiles(folders);
  const shape: ImageShape = { channels: 1, height: description.height, width: description.width };
  const load = async (split: keyof typeof SPLIT_PREFIXES): Promise<ImageSplit> => {
    const prefix = SPLIT_PREFIXES[split];
    // A folder that has some of the files is the only one read, so that two copies are never mixed.
    const places = folder === undefined ? folders : [folder];
    const imagesPath = await findFile(`${prefix}-images-idx3-ubyte`, places, description);
    const labelsPath = await findFile(`${prefix}-labels-idx1-ubyte`, places, description);
    return loadSplit(imagesPath, labelsPath, shape, description);
  };
  return {
    name: description.name,
    classes: description.classes,
    ...shape,
    train: await load('train'),
    test: await load('test'),
  };
}

async function loadSplit(
  imagesPath: string,
  labelsPath: string,
  shape: ImageShape,
  description: IdxDatasetDescription,
): Promise<ImageSplit> {
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
      remedy: description.remedyWhenMissing,
      path: imagesPath,
    });
  }
  if (height !== shape.height || width !== shape.width) {
    throw new DataError('mismatch', {
      operation,
      expected: `images of ${shape.height} x ${shape.width} pixels`,
      received: `${height} x ${width}`,
      remedy: `These are not ${description.name}'s files. ${description.remedyWhenMissing}`,
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
  const split = { images: images.values, labels: labels.values, count: imageCount };
  checkSplit(split, shape, description.classes.length, labelsPath);
  return split;
}

/** Both spellings of a file, in the order they are looked for. */
function spellings(name: string): string[] {
  return [`${name}.gz`, name];
}

async function firstFolderWithFiles(folders: readonly string[]): Promise<string | undefined> {
  const names = Object.values(SPLIT_PREFIXES).flatMap((prefix) => [
    ...spellings(`${prefix}-images-idx3-ubyte`),
    ...spellings(`${prefix}-labels-idx1-ubyte`),
  ]);
  for (const folder of folders) {
    for (const name of names) if (await exists(join(folder, name))) return folder;
  }
  return undefined;
}

async function findFile(
  name: string,
  folders: readonly string[],
  description: IdxDatasetDescription,
): Promise<string> {
  for (const folder of folders) {
    for (const spelling of spellings(name)) {
      const path = join(folder, spelling);
      if (await exists(path)) return path;
    }
  }
  throw new DataError('missing', {
    operation: `loading ${description.name}`,
    expected: `file ${name}.gz or ${name}`,
    received: `none in ${folders.join(', ')}`,
    remedy: description.remedyWhenMissing,
    path: name,
  });
}

/** A file that only cannot be reached counts as there, so that reading it tells the true reason (no permission). */
async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR';
  }
}
