/** Emoji-70: a colour benchmark with 70 classes that needs nothing but the npm registry; split by emoji, or by drawing style. */
import { join } from 'node:path';
import type { DatasetAbout } from '../about.ts';
import { howToGet } from '../about.ts';
import type { DatasetEntry, DatasetOptions, ImageDataset, ImageShape, ImageSplit } from '../dataset.ts';
import { checkSplit } from '../dataset.ts';
import type { Catalogue } from '../emoji/catalogue.ts';
import { CATALOGUE_FILE, PICTURES_FILE, readCatalogue } from '../emoji/catalogue.ts';
import { DataError } from '../errors.ts';
import { readIdx } from '../formats/idx.ts';
import { datasetPlaces, exists } from '../places.ts';
import { takeImages } from '../loading/subset.ts';

interface EmojiVariant {
  readonly name: string;
  readonly size: 32 | 64;
  /** What the test split holds that training does not see. */
  readonly newInTest: 'emoji' | 'styles';
  readonly counts: readonly [train: number, test: number];
}

/** By size; other versions of sharp may draw some pixels otherwise. */
const DIGESTS = {
  32: '34602885b4d41686b1551984c68ee465a3f719652e74d6cce18fc948f0c2733a',
  64: 'db40d894e29c945f02ea4f0de76438156791e252da5d1e2c5411fbf6c16f602c',
} as const;

function entry({ name, size, newInTest, counts }: EmojiVariant): DatasetEntry {
  const about: DatasetAbout = {
    title: `Emoji-70, ${size} pixels, test on ${newInTest === 'emoji' ? 'other emoji' : 'other drawing styles'}`,
    licence: 'by style: Apache 2.0, MIT, CC BY 4.0, CC BY-SA 4.0 (LICENCES.md)',
    homepage: 'https://www.npmjs.com/org/iconify-json',
    classes: 70,
    shape: { channels: 3, height: size, width: size },
    trainImages: counts[0],
    testImages: counts[1],
    folder: size === 32 ? 'emoji' : `emoji-${size}`,
    origin: {
      kind: 'made',
      make: async (folder, options) =>
        (await import('../emoji/make.ts')).makeEmojiFolder(folder, size, options),
      digest: DIGESTS[size],
    },
  };
  const findFolder = async (options: DatasetOptions): Promise<string | null> => {
    for (const place of datasetPlaces(about.folder, options)) {
      if (await exists(join(place, CATALOGUE_FILE))) return place;
    }
    return null;
  };
  return {
    name,
    about,
    find: findFolder,
    load: async (options): Promise<ImageDataset> => {
      const remedy = howToGet(name, about);
      const folder = await findFolder(options);
      if (folder === null) {
        throw new DataError('missing', {
          operation: `loading ${name}`,
          expected: `${CATALOGUE_FILE} and ${PICTURES_FILE}`,
          received: `none in ${datasetPlaces(about.folder, options).join(', ')}`,
          remedy,
        });
      }
      const catalogue = await readCatalogue(join(folder, CATALOGUE_FILE), remedy);
      const all = await readPictures(folder, catalogue, about.shape, remedy);
      const isTest = (picture: number): boolean => {
        const [emoji = -1, style = -1] = catalogue.pictures[picture] ?? [];
        return newInTest === 'emoji'
          ? catalogue.emoji[emoji]?.test === true
          : catalogue.styles[style]?.heldOut === true;
      };
      const split = (wanted: boolean): ImageSplit =>
        takeImages(
          all,
          about.shape,
          Int32Array.from([...catalogue.pictures.keys()].filter((picture) => isTest(picture) === wanted)),
        );
      return {
        name,
        classes: catalogue.classes,
        ...about.shape,
        train: split(false),
        test: split(true),
      };
    },
  };
}

async function readPictures(
  folder: string,
  catalogue: Catalogue,
  shape: ImageShape,
  remedy: string,
): Promise<ImageSplit> {
  const path = join(folder, PICTURES_FILE);
  const { shape: sizes, values } = await readIdx(path, { dimensions: 4, remedyWhenMissing: remedy });
  const expected = [catalogue.pictures.length, shape.channels, shape.height, shape.width];
  if (sizes.join() !== expected.join()) {
    throw new DataError('mismatch', {
      operation: `loading ${path}`,
      expected: `pictures [${expected.join(', ')}] by ${CATALOGUE_FILE} beside it and the dataset's size`,
      received: `[${sizes.join(', ')}]`,
      remedy: `The files are of two makings, or of the other size. ${remedy}`,
      path,
    });
  }
  const labels = Int32Array.from(catalogue.pictures.map(([emoji]) => catalogue.emoji[emoji]?.class ?? -1));
  const split = { images: values, labels, count: catalogue.pictures.length };
  checkSplit(split, shape, catalogue.classes.length, path);
  return split;
}

/** Emoji-70 in both sizes and both splits. */
export const emoji: readonly DatasetEntry[] = [
  entry({ name: 'emoji', size: 32, newInTest: 'emoji', counts: [7718, 1930] }),
  entry({ name: 'emoji-styles', size: 32, newInTest: 'styles', counts: [6812, 2836] }),
  entry({ name: 'emoji-64', size: 64, newInTest: 'emoji', counts: [7718, 1930] }),
  entry({ name: 'emoji-styles-64', size: 64, newInTest: 'styles', counts: [6812, 2836] }),
];
