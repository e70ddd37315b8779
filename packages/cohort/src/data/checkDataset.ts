/** Loads a whole dataset and compares it with what is known about it: `cohort data check`. */
import type { DatasetOptions, ImageShape, ImageSplit, LoadingReporter } from './dataset.ts';
import { checkSplit } from './dataset.ts';
import { folder } from './folder/entries.ts';
import type { Normalisation } from './loading/normalisation.ts';
import { splitStatistics } from './loading/normalisation.ts';
import type { ImagePixels } from './loading/pixelSource.ts';
import { datasetEntry } from './registry.ts';

/** How many images a split has, in all and of each class. */
export interface SplitCounts {
  readonly count: number;
  /** In the order of the classes. */
  readonly perClass: readonly number[];
}

/** What {@link checkDataset} found. */
export interface DatasetCheck {
  readonly name: string;
  /** Whether its counts are known beforehand, unlike those of the user's own folder. */
  readonly isPublished: boolean;
  /** What was read; null where the dataset does not say. */
  readonly path: string | null;
  readonly shape: ImageShape;
  readonly classes: readonly string[];
  readonly train: SplitCounts;
  /** Null where the dataset has no such split. */
  readonly validation: SplitCounts | null;
  readonly test: SplitCounts;
  /** Of the training images. */
  readonly normalisation: Normalisation;
  /** What is wrong with it, and what differs from the dataset as published, in sentences; empty when nothing does. */
  readonly problems: readonly string[];
  /** What was left out or merged and is no problem, in sentences: hidden files, folders without images. */
  readonly notes: readonly string[];
}

/**
 * Loads a dataset, which checks its files, shapes and labels, and counts.
 * @throws whatever its loader throws: files that cannot be used at all are no finding but a failure.
 */
export async function checkDataset(name: string, options: DatasetOptions = {}): Promise<DatasetCheck> {
  const entry = datasetEntry(name);
  const warnings: string[] = [];
  const reporter: LoadingReporter = {
    message: () => undefined,
    // Broken files, images in two splits: what a folder's loader warns of is what a check is for.
    warning: (text) => warnings.push(text),
  };
  const dataset = await entry.load({ reporter, ...options });
  const { channels, height, width, classes } = dataset;
  const shape = { channels, height, width };
  for (const split of ['train', 'test'] as const) {
    const { images, labels, count } = dataset[split];
    // A source has made its labels itself.
    if (!(images instanceof Uint8Array)) continue;
    checkSplit({ images, labels, count }, shape, classes.length, `the ${split} split of ${name}`);
  }
  const train = countLabels(dataset.train, classes);
  const validation = dataset.validation === undefined ? null : countLabels(dataset.validation, classes);
  const test = countLabels(dataset.test, classes);
  const normalisation = splitStatistics(dataset.train, shape);
  dataset.dispose?.();
  return {
    name,
    isPublished: entry.about !== undefined,
    path: (await entry.find?.(options)) ?? options.path ?? null,
    shape,
    classes,
    train,
    validation,
    test,
    normalisation,
    problems: [
      ...warnings,
      ...compare('training images', train.count, entry.about?.trainImages),
      ...compare('test images', test.count, entry.about?.testImages),
      ...compare('classes', classes.length, entry.about?.classes),
      // The loader of a folder has refused or warned of them itself.
      ...(entry === folder
        ? []
        : [...emptyClasses('training', train, classes), ...emptyClasses('test', test, classes)]),
    ],
    notes: dataset.notices ?? [],
  };
}

function countLabels({ labels, count }: ImageSplit<ImagePixels>, classes: readonly string[]): SplitCounts {
  const perClass = new Array<number>(classes.length).fill(0);
  for (const label of labels) perClass[label] = (perClass[label] ?? 0) + 1;
  return { count, perClass };
}

function compare(what: string, found: number, published: number | undefined): string[] {
  if (published === undefined || found === published) return [];
  return [`${found} ${what}, where the dataset as published has ${published}.`];
}

function emptyClasses(split: string, { perClass }: SplitCounts, classes: readonly string[]): string[] {
  const empty = classes.filter((_, label) => perClass[label] === 0);
  if (empty.length === 0) return [];
  const named = empty.slice(0, 5).join(', ');
  return [`No ${split} images of ${empty.length} classes (${named}${empty.length > 5 ? ', ...' : ''}).`];
}
