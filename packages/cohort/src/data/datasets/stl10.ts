/** STL-10 (Coates, Ng and Lee 2011): 13,000 labelled colour pictures of 96x96 in ten classes, from its binary form. */
import type { DatasetAbout } from '../about.ts';
import { howToGet } from '../about.ts';
import type { DatasetEntry, ImageDataset, ImageSplit } from '../dataset.ts';
import { checkSplit, imageBytes, NO_IMAGES } from '../dataset.ts';
import { DataError } from '../errors.ts';
import type { FileForm } from '../formats/fileForms.ts';
import { findForm, readForm } from '../formats/fileForms.ts';
import { transposePlanes } from '../formats/transpose.ts';
import { datasetPlaces } from '../places.ts';

const SHAPE = { channels: 3, height: 96, width: 96 } as const;
const CLASSES = ['airplane', 'bird', 'car', 'cat', 'deer', 'dog', 'horse', 'monkey', 'ship', 'truck'];
const SITE = 'http://ai.stanford.edu/~acoates/stl10';

/** The labelled pictures only: the 100,000 without labels (2.7 GB) are of no use here and are never unpacked. */
const FORM: FileForm = {
  name: 'binary',
  files: ['train_X.bin', 'train_y.bin', 'test_X.bin', 'test_y.bin'],
  testFiles: ['test_X.bin', 'test_y.bin'],
  folder: 'stl10_binary',
  archive: 'stl10_binary.tar.gz',
};

const about: DatasetAbout = {
  title: 'STL-10, the labelled pictures',
  licence: 'none stated; pictures from ImageNet, for research',
  homepage: `${SITE}/`,
  classes: 10,
  shape: SHAPE,
  trainImages: 5000,
  testImages: 8000,
  folder: 'stl10',
  origin: {
    kind: 'download',
    files: [
      {
        name: FORM.archive,
        urls: [`${SITE}/${FORM.archive}`],
        checksum: { algorithm: 'md5', value: '91f7769df0f17e558f3565bffb0c7dfb' },
        megabytes: 2640,
      },
    ],
    unpack: (member) => FORM.files.find((file) => member === `stl10_binary/${file}`) ?? null,
  },
};

/** STL-10. Pictures are stored column by column and labels count from 1; both are turned round here. */
export const stl10: DatasetEntry = {
  name: 'stl10',
  about,
  find: async (options) => (await findForm(datasetPlaces(about.folder, options), [FORM]))?.path ?? null,
  load: async (options): Promise<ImageDataset> => {
    const words = { name: 'stl10', remedyWhenMissing: howToGet('stl10', about) };
    const { path, contents } = await readForm(datasetPlaces(about.folder, options), [FORM], words, options);
    const split = (name: 'train' | 'test'): ImageSplit => {
      const pictures = contents.get(`${name}_X.bin`);
      const labels = contents.get(`${name}_y.bin`);
      if (pictures === undefined || labels === undefined) return NO_IMAGES;
      return decode(pictures, labels, `${path}/${name}_X.bin`);
    };
    return { name: 'stl10', classes: CLASSES, ...SHAPE, train: split('train'), test: split('test') };
  },
};

function decode(pictures: Buffer, stored: Buffer, path: string): ImageSplit {
  const size = imageBytes(SHAPE);
  if (pictures.length % size !== 0) {
    throw new DataError('truncated', {
      operation: `reading STL-10 file ${path}`,
      expected: `a multiple of ${size} bytes (3 x 96 x 96)`,
      received: `${pictures.length} bytes`,
      remedy: 'The file is truncated: fetch it again.',
      path,
    });
  }
  // Signed, so that a label of 0 (no class) is refused instead of becoming class 255.
  const labels = Int32Array.from(stored, (label) => label - 1);
  const split = { images: pictures, labels, count: pictures.length / size };
  checkSplit(split, SHAPE, CLASSES.length, path);
  return { ...split, images: transposePlanes(pictures, SHAPE.width) };
}
