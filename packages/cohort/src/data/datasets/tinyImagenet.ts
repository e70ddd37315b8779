/** Tiny ImageNet (Stanford's CS231n, 2015): 110,000 colour pictures of 64x64 in 200 classes, from its folder of JPEG files. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatasetAbout } from '../about.ts';
import { howToGet } from '../about.ts';
import type { DatasetEntry, ImageDataset, ImageSplit } from '../dataset.ts';
import { checkSplit, imageBytes } from '../dataset.ts';
import { decodeQueued } from '../loading/decodeImage.ts';
import { DataError } from '../errors.ts';
import { imagesInFlight } from '../folder/inspect.ts';
import { datasetPlaces, exists } from '../places.ts';
import { mapPool } from '../loading/pool.ts';
import { readDataFile } from '../loading/readFile.ts';

const SHAPE = { channels: 3, height: 64, width: 64 } as const;
const FOLDER = 'tiny-imagenet-200';
const WORDNET_NUMBER = /^n\d{8}$/;
const PICTURE = /\.(?:jpe?g|png)$/i;

const about: DatasetAbout = {
  title: 'Tiny ImageNet',
  licence: 'pictures from ImageNet, for research',
  homepage: 'http://cs231n.stanford.edu/',
  classes: 200,
  shape: SHAPE,
  trainImages: 100_000,
  testImages: 10_000,
  folder: 'tiny-imagenet',
  origin: {
    kind: 'download',
    files: [
      {
        name: `${FOLDER}.zip`,
        urls: [`http://cs231n.stanford.edu/${FOLDER}.zip`],
        checksum: { algorithm: 'md5', value: '90528d7ca1a48142e341f4ef8d21d0de' },
        megabytes: 248,
      },
    ],
    // The 10,000 pictures under test/ have no labels.
    unpack: (member) => /^tiny-imagenet-200\/((?!test\/).+)$/.exec(member)?.[1] ?? null,
  },
};

/** A picture's file and class. */
interface Labelled {
  readonly path: string;
  readonly label: number;
}

/**
 * Tiny ImageNet. Its test pictures have no published labels, so `test` is its validation split, as in the papers. Classes
 * are in the order of their WordNet numbers. Decoded, it takes 1.35 GB of memory.
 */
export const tinyImagenet: DatasetEntry = {
  name: 'tiny-imagenet',
  about,
  find: async (options) => (await findRoot(datasetPlaces(about.folder, options))) ?? null,
  load: async (options): Promise<ImageDataset> => {
    const places = datasetPlaces(about.folder, options);
    const root = await findRoot(places);
    if (root === undefined) {
      throw new DataError('missing', {
        operation: 'loading tiny-imagenet',
        expected: `wnids.txt and the folders train and val (also in ${FOLDER}/)`,
        received: `none in ${places.join(', ')}`,
        remedy: howToGet('tiny-imagenet', about),
      });
    }
    const numbers = await readClassNumbers(root);
    const decode = (pictures: Labelled[], split: string): Promise<ImageSplit> =>
      decodeAll(pictures, numbers.length, join(root, split), options.signal);
    return {
      name: 'tiny-imagenet',
      classes: await classNames(root, numbers),
      ...SHAPE,
      train: await decode(await picturesByClass(join(root, 'train'), numbers), 'train'),
      test: await decode(await validationPictures(root, numbers), 'val'),
    };
  },
};

async function findRoot(places: readonly string[]): Promise<string | undefined> {
  const roots = places.flatMap((place) => [place, join(place, FOLDER), join(place, FOLDER, FOLDER)]);
  for (const root of roots) if (await exists(join(root, 'wnids.txt'))) return root;
  for (const root of roots) if ((await numberedFolders(join(root, 'train'))).length >= 2) return root;
  return undefined;
}

/** Folders named by a WordNet number; none where there is no such folder. */
async function numberedFolders(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => WORDNET_NUMBER.test(name)).sort();
  } catch {
    return [];
  }
}

/** The classes' WordNet numbers, `n01443537` and so on, sorted; those of the folders in train/ where no file lists them. */
async function readClassNumbers(root: string): Promise<string[]> {
  const path = join(root, 'wnids.txt');
  if (!(await exists(path))) return numberedFolders(join(root, 'train'));
  const numbers = (await readText(path)).split(/\s+/).filter((line) => line !== '');
  const wrong = numbers.find((number) => !WORDNET_NUMBER.test(number));
  if (wrong === undefined && new Set(numbers).size === numbers.length && numbers.length >= 2)
    return numbers.sort();
  throw new DataError('format', {
    operation: `reading ${path}`,
    expected: 'two or more distinct WordNet numbers such as n01443537, one per line',
    received: wrong === undefined ? `${numbers.length} lines with repetitions` : `'${wrong}'`,
    remedy: howToGet('tiny-imagenet', about),
    path,
  });
}

/** The first name that words.txt gives a class; its number where that is missing or not unique. */
async function classNames(root: string, numbers: readonly string[]): Promise<string[]> {
  const path = join(root, 'words.txt');
  const lines = (await exists(path)) ? (await readText(path)).split(/\r?\n/) : [];
  const names = new Map(
    lines.map((line): [string, string] => {
      const [number = '', words = ''] = line.split('\t');
      return [number, words.split(',')[0]?.trim() ?? ''];
    }),
  );
  const named = numbers.map((number) => names.get(number) ?? '');
  return named.map((name, label) => {
    const isUnique = name !== '' && named.indexOf(name) === named.lastIndexOf(name);
    return isUnique ? name : (numbers[label] ?? '');
  });
}

/** Pictures in one folder per class, each with or without a folder images/ in it. */
async function picturesByClass(folder: string, numbers: readonly string[]): Promise<Labelled[]> {
  const perClass = await Promise.all(
    numbers.map(async (number, label): Promise<Labelled[]> => {
      const own = join(folder, number);
      const inner = join(own, 'images');
      const place = (await exists(own)) && !(await exists(inner)) ? own : inner;
      return (await listImages(place)).map((name) => ({ path: join(place, name), label }));
    }),
  );
  return perClass.flat();
}

async function listImages(folder: string): Promise<string[]> {
  try {
    // Sorted, since file systems list in any order: images would else have other indices on another machine.
    const names = (await readdir(folder)).filter((name) => PICTURE.test(name)).sort();
    if (names.length > 0) return names;
  } catch (error) {
    throw missingPictures(folder, 'no such folder', error);
  }
  throw missingPictures(folder, 'none', undefined);
}

function missingPictures(folder: string, received: string, cause: unknown): DataError {
  return new DataError('missing', {
    operation: 'loading tiny-imagenet',
    expected: `JPEG files in ${folder}`,
    received,
    remedy: howToGet('tiny-imagenet', about),
    path: folder,
    cause,
  });
}

/** Pictures in folders per class, as scripts sort them for training in PyTorch, or else by the file of annotations. */
async function validationPictures(root: string, numbers: readonly string[]): Promise<Labelled[]> {
  const folder = join(root, 'val');
  const isSorted = (await numberedFolders(folder)).length > 0 && !(await hasPictures(join(folder, 'images')));
  return isSorted ? picturesByClass(folder, numbers) : annotatedPictures(root, numbers);
}

async function hasPictures(folder: string): Promise<boolean> {
  return (await exists(folder)) && (await readdir(folder)).some((name) => PICTURE.test(name));
}

/** Lines of val_annotations.txt: file, WordNet number, and a bounding box that is not needed. */
async function annotatedPictures(root: string, numbers: readonly string[]): Promise<Labelled[]> {
  const path = join(root, 'val', 'val_annotations.txt');
  const labels = new Map(numbers.map((number, label) => [number, label]));
  const lines = (await readText(path)).split(/\r?\n/).filter((line) => line.trim() !== '');
  return lines.map((line, index) => {
    const [name = '', number = ''] = line.split('\t');
    const label = labels.get(number);
    if (label === undefined || name === '' || /[\\/]/.test(name)) {
      throw new DataError(label === undefined ? 'label' : 'format', {
        operation: `reading ${path}, line ${index + 1}`,
        expected: 'a file name, a tab and one of the numbers of wnids.txt',
        received: `'${line.slice(0, 80)}'`,
        remedy: 'The annotations do not belong to these classes: fetch them again.',
        path,
      });
    }
    return { path: join(root, 'val', 'images', name), label };
  });
}

/** Decodes pictures side by side. @throws the signal's reason when it is aborted */
async function decodeAll(
  pictures: readonly Labelled[],
  classCount: number,
  source: string,
  signal: AbortSignal | undefined,
): Promise<ImageSplit> {
  const size = imageBytes(SHAPE);
  const images = new Uint8Array(pictures.length * size); // [N, 3, 64, 64]
  const work = async ({ path }: Labelled, index: number): Promise<void> => {
    images.set(await decodeQueued(path, SHAPE), index * size);
  };
  await mapPool(pictures, imagesInFlight(), work, signal);
  const split = { images, labels: Int32Array.from(pictures, ({ label }) => label), count: pictures.length };
  checkSplit(split, SHAPE, classCount, source);
  return split;
}

async function readText(path: string): Promise<string> {
  const content = await readDataFile(path, {
    operation: 'reading',
    maximumBytes: 64 * 1024 * 1024,
    remedyWhenMissing: howToGet('tiny-imagenet', about),
  });
  return content.toString('utf8');
}
