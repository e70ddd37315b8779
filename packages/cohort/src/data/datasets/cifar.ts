/** CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 60,000 colour pictures of 32x32, from their binary or their python form. */
import type { DatasetAbout } from '../about.ts';
import { howToGet } from '../about.ts';
import type { DatasetEntry, ImageDataset, ImageSplit } from '../dataset.ts';
import { checkSplit, NO_IMAGES } from '../dataset.ts';
import { decodeCifarBinary } from '../formats/cifarBinary.ts';
import { decodeCifarPickle } from '../formats/cifarPickle.ts';
import type { FileForm } from '../formats/fileForms.ts';
import { findForm, readForm } from '../formats/fileForms.ts';
import { datasetPlaces } from '../places.ts';
import { CIFAR10_CLASSES, CIFAR100_CLASSES, CIFAR100_COARSE_CLASSES } from './cifarClasses.ts';

/** Channel, row and column of every picture. */
export const CIFAR_SHAPE = { channels: 3, height: 32, width: 32 } as const;

interface CifarForm extends FileForm {
  readonly trainFiles: readonly string[];
  /** Pictures and the labels asked for. */
  readonly decode: (content: Buffer, path: string) => ImageSplit;
}

interface CifarVariant {
  readonly name: string;
  readonly about: DatasetAbout;
  readonly classes: readonly string[];
  readonly forms: readonly CifarForm[];
}

const SITE = 'https://www.cs.toronto.edu/~kriz';
const LICENCE = 'none stated; free for research, cite Krizhevsky 2009';
const FIVE = [1, 2, 3, 4, 5];

function form(
  where: { folder: string; archive: string; trainFiles: readonly string[]; testFile: string },
  decode: CifarForm['decode'],
): CifarForm {
  const { testFile, ...form } = where;
  return {
    name: where.folder,
    files: [...where.trainFiles, testFile],
    testFiles: [testFile],
    ...form,
    decode,
  };
}

/** The binary form first: it is quicker to read. */
function cifar10Forms(): CifarForm[] {
  return [
    form(
      {
        folder: 'cifar-10-batches-bin',
        archive: 'cifar-10-binary.tar.gz',
        trainFiles: FIVE.map((number) => `data_batch_${number}.bin`),
        testFile: 'test_batch.bin',
      },
      (content, path) => decodeCifarBinary(content, { labelBytes: 1, labelAt: 0 }, path),
    ),
    form(
      {
        folder: 'cifar-10-batches-py',
        archive: 'cifar-10-python.tar.gz',
        trainFiles: FIVE.map((number) => `data_batch_${number}`),
        testFile: 'test_batch',
      },
      (content, path) => decodeCifarPickle(content, 'labels', path),
    ),
  ];
}

/** A record of the binary form begins with the coarse label, then the fine one. */
function cifar100Forms(labels: 'fine' | 'coarse'): CifarForm[] {
  return [
    form(
      {
        folder: 'cifar-100-binary',
        archive: 'cifar-100-binary.tar.gz',
        trainFiles: ['train.bin'],
        testFile: 'test.bin',
      },
      (content, path) =>
        decodeCifarBinary(content, { labelBytes: 2, labelAt: labels === 'fine' ? 1 : 0 }, path),
    ),
    form(
      {
        folder: 'cifar-100-python',
        archive: 'cifar-100-python.tar.gz',
        trainFiles: ['train'],
        testFile: 'test',
      },
      (content, path) => decodeCifarPickle(content, `${labels}_labels`, path),
    ),
  ];
}

function about(number: 10 | 100, classes: number, checksum: string): DatasetAbout {
  const archive = `cifar-${number}-binary.tar.gz`;
  return {
    title: `CIFAR-${number}${classes === 20 ? ' with its 20 superclasses' : ''}`,
    licence: LICENCE,
    homepage: `${SITE}/cifar.html`,
    classes,
    shape: CIFAR_SHAPE,
    trainImages: 50_000,
    testImages: 10_000,
    folder: `cifar${number}`,
    origin: {
      kind: 'download',
      files: [
        {
          name: archive,
          urls: [`${SITE}/${archive}`],
          checksum: { algorithm: 'md5', value: checksum },
          megabytes: number === 10 ? 170 : 169,
        },
      ],
      unpack: (member) => (/\.(bin|txt)$/.test(member) ? (member.split('/').at(-1) ?? null) : null),
    },
  };
}

function entry({ name, about, classes, forms }: CifarVariant): DatasetEntry {
  return {
    name,
    about,
    find: async (options) => (await findForm(datasetPlaces(about.folder, options), forms))?.path ?? null,
    load: async (options): Promise<ImageDataset> => {
      const words = { name, remedyWhenMissing: howToGet(name, about) };
      const found = await readForm(datasetPlaces(about.folder, options), forms, words, options);
      const decode = (file: string): ImageSplit => {
        const path = `${found.path}/${file}`;
        const split = found.form.decode(found.contents.get(file) ?? Buffer.alloc(0), path);
        checkSplit(split, CIFAR_SHAPE, classes.length, path);
        return split;
      };
      const split = (files: readonly string[]): ImageSplit =>
        files.some((file) => found.contents.has(file)) ? joinSplits(files.map(decode)) : NO_IMAGES;
      return {
        name,
        classes,
        ...CIFAR_SHAPE,
        train: split(found.form.trainFiles),
        test: split(found.form.testFiles),
      };
    },
  };
}

function joinSplits(splits: readonly ImageSplit[]): ImageSplit {
  const [only] = splits;
  if (splits.length === 1 && only !== undefined) return only;
  return {
    images: Buffer.concat(splits.map(({ images }) => images)),
    labels: Buffer.concat(splits.map(({ labels }) => Uint8Array.from(labels))),
    count: splits.reduce((total, { count }) => total + count, 0),
  };
}

/** Ten kinds of animals and vehicles. */
export const cifar10: DatasetEntry = entry({
  name: 'cifar10',
  about: about(10, 10, 'c32a1d4ab5d03f1284b67883e8d87530'),
  classes: CIFAR10_CLASSES,
  forms: cifar10Forms(),
});

/** A hundred classes. */
export const cifar100: DatasetEntry = entry({
  name: 'cifar100',
  about: about(100, 100, '03b5dce01913d631647c71ecec9e9cb8'),
  classes: CIFAR100_CLASSES,
  forms: cifar100Forms('fine'),
});

/** The same pictures by their 20 superclasses. */
export const cifar100Coarse: DatasetEntry = entry({
  name: 'cifar100-coarse',
  about: about(100, 20, '03b5dce01913d631647c71ecec9e9cb8'),
  classes: CIFAR100_COARSE_CLASSES,
  forms: cifar100Forms('coarse'),
});
