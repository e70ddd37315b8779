/** Loads a folder or table of images: looked at, decoded once to where it fits, broken files left out, split, and all of it told. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { DatasetOptions, ImageDataset, ImageFit, ImageSplit } from '../dataset.ts';
import { DataError } from '../errors.ts';
import type { PixelSource } from '../loading/pixelSource.ts';
import { datasetPlaces } from '../places.ts';
import { TABLE_ENDING } from './tables/tableEnding.ts';
import { countOf, firstNames, type BrokenFile, type FoundImage, type ImageListing } from './listing.ts';
import { listFolder } from './layout/listFolder.ts';
import { findImagenet, listImagenet } from './layout/listImagenet.ts';
import { listTable, type TableOptions } from './tables/listTable.ts';
import {
  brokenError,
  brokenList,
  classCounts,
  describeDuplicates,
  untrainedRemedy,
  type KnownImage,
} from './report.ts';
import { chooseTestImages } from './split.ts';
import type { SplitName } from './splitNames.ts';
import { decodeListing, type StoredSet } from './pixels/store.ts';
import type { WalkOptions } from './walk.ts';

/** Proportions are kept: what photos show is seen as it is. */
export const FOLDER_FIT: ImageFit = 'cover';

/** Lists whatever `path` is: a folder, or a table (CSV) of images. */
export async function listImages(
  path: string,
  options: WalkOptions & TableOptions = {},
): Promise<ImageListing> {
  return TABLE_ENDING.test(path) && (await stat(path).catch(() => null))?.isDirectory() !== true
    ? listTable(path, options)
    : listFolder(path, options);
}

/** The dataset `folder`. @throws {@link DataError} for everything that is wrong with it. */
export async function loadFolder(options: DatasetOptions): Promise<ImageDataset<PixelSource>> {
  if (options.path == null) {
    throw new DataError('missing', {
      operation: 'loading a folder of images',
      expected: 'the path of the folder or CSV file',
      received: 'none',
      remedy: 'Set data.path=FOLDER.',
    });
  }
  return loadListing('folder', await listImages(options.path, options), options);
}

/** The dataset `imagenet`, from `path`, or else from its usual places. @throws {@link DataError} */
export async function loadImagenet(options: DatasetOptions): Promise<ImageDataset<PixelSource>> {
  const places = datasetPlaces('imagenet', options);
  const path = options.path ?? (await findImagenet(places));
  if (path === null) {
    throw new DataError('missing', {
      operation: 'loading imagenet',
      expected: 'the folder that has train/ and val/',
      received: `none in ${places.join(', ')}`,
      remedy: 'Set data.path=FOLDER, or put it at $COHORT_DATA/imagenet.',
    });
  }
  return loadListing('imagenet', await listImagenet(path, options), { ...options, path });
}

async function loadListing(
  name: string,
  listing: ImageListing,
  options: DatasetOptions,
): Promise<ImageDataset<PixelSource>> {
  const { reporter } = options;
  for (const notice of listing.notices) reporter?.message(`${listing.source}: ${notice}`);
  for (const warning of listing.warnings) reporter?.warning(`${listing.source}: ${warning}`);
  const stored = await decodeListing(listing, FOLDER_FIT, options);
  try {
    const usable = usableImages(listing, stored, options);
    const dataset = splitUp(name, listing, { stored, usable, broken: brokenFiles(listing, stored) }, options);
    return { ...dataset, notices: listing.notices, dispose: stored.dispose };
  } catch (error) {
    stored.dispose();
    throw error;
  }
}

function brokenFiles(listing: ImageListing, stored: StoredSet): BrokenFile[] {
  return [
    ...listing.broken,
    ...[...stored.broken]
      .sort(([left], [right]) => left - right)
      .map(([index, reason]) => ({ name: listing.images[index]?.name ?? '', reason })),
  ];
}

/** The images that can be used; of others a warning tells. @throws {@link DataError} for broken files where all must be whole */
export function usableImages(
  listing: ImageListing,
  stored: StoredSet,
  { reporter, strict = false }: Pick<DatasetOptions, 'reporter' | 'strict'>,
): Usable[] {
  const broken = brokenFiles(listing, stored);
  if (broken.length > 0) {
    if (strict) throw brokenError(listing.source, broken);
    reporter?.warning(`${countOf(broken.length, 'broken file')} left out:\n${brokenList(broken)}`);
  }
  return listing.images.flatMap((image, index): Usable[] => {
    const pixelDigest = stored.pixelDigests[index];
    if (pixelDigest == null || stored.broken.has(index)) return [];
    return [{ image, index, pixelDigest, bytesDigest: stored.bytesDigests[index] ?? '' }];
  });
}

/** One usable image, with its place in the stored set. */
export interface Usable {
  readonly image: FoundImage;
  readonly index: number;
  readonly pixelDigest: string;
  readonly bytesDigest: string;
}

function splitUp(
  name: string,
  listing: ImageListing,
  {
    stored,
    usable,
    broken,
  }: {
    readonly stored: StoredSet;
    readonly usable: readonly Usable[];
    readonly broken: readonly BrokenFile[];
  },
  options: DatasetOptions,
): ImageDataset<PixelSource> {
  const { source } = listing;
  const { reporter } = options;
  const present = new Set(usable.map(({ image }) => image.className));
  const classes = listing.classes.filter((className) => present.has(className));
  const lost = listing.classes.filter((className) => !present.has(className));
  if (lost.length > 0) reporter?.warning(`no image of these classes can be read: ${firstNames(lost)}`);
  requireClasses(listing, classes, broken);
  const labelOf = new Map(classes.map((className, label) => [className, label]));
  const labels = usable.map(({ image }) => labelOf.get(image.className) ?? 0);
  const splits = assignSplits(usable, labels, reporter);
  const known = usable.map(({ image, pixelDigest, bytesDigest }, row): KnownImage => ({
    name: image.name,
    className: image.className,
    split: splits[row] ?? 'train',
    pixelDigest,
    bytesDigest,
  }));
  const { leaks, others } = describeDuplicates(known);
  for (const text of leaks) reporter?.warning(text);
  for (const text of others) reporter?.message(text);
  const make = (split: SplitName): ImageSplit<PixelSource> => {
    const chosen = [...usable.keys()].filter((row) => splits[row] === split);
    return {
      images: stored.pixels.select(Int32Array.from(chosen, (row) => usable[row]?.index ?? 0)),
      labels: Int32Array.from(chosen, (row) => labels[row] ?? 0),
      count: chosen.length,
      fileOf: (row) => known[chosen[row] ?? 0] ?? { name: '', pixelDigest: '', bytesDigest: '' },
    };
  };
  const [train, validation, test] = [make('train'), make('validation'), make('test')];
  checkSplits(listing, classes, { train, validation, test }, reporter);
  const { channels, height, width } = stored.shape;
  const counts = [
    countOf(train.count, 'training image'),
    ...(validation.count > 0 ? [countOf(validation.count, 'validation image')] : []),
    countOf(test.count, 'test image'),
  ];
  reporter?.message(
    `${source}: ${counts.join(', ')} of ${classes.length} classes (${classCounts(classes, labels)}), as ${height} x ${width} ${channels === 1 ? 'grey' : 'colour'}`,
  );
  return {
    name,
    classes,
    channels,
    height,
    width,
    fit: FOLDER_FIT,
    train,
    test,
    ...(validation.count > 0 ? { validation } : {}),
    contentDigest: digestOf(known),
  };
}

/** Names are left out: a folder that was moved or renamed holds the same images. */
export function digestOf(known: readonly KnownImage[]): string {
  const hash = createHash('sha256');
  for (const { className, split, pixelDigest } of known) {
    hash.update(`${JSON.stringify(className)} ${split} ${pixelDigest}\n`);
  }
  return hash.digest('hex');
}

/** The split of each image: what its folder or row says, with test images split off where none are named. */
function assignSplits(
  usable: readonly Usable[],
  labels: readonly number[],
  reporter: DatasetOptions['reporter'],
): SplitName[] {
  const given = usable.map(({ image }): SplitName => image.split ?? 'train');
  if (given.includes('test')) return given;
  const rows = [...given.keys()].filter((row) => given[row] === 'train');
  const isTest = chooseTestImages(
    rows.map((row) => labels[row] ?? 0),
    rows.map((row) => usable[row]?.pixelDigest ?? ''),
  );
  const chosen = new Set(rows.filter((_, position) => isTest[position]));
  reporter?.message(
    `there is no test split: ${countOf(chosen.size, 'image')} of ${rows.length.toLocaleString('en-US')} were set aside for testing, a fifth of each class, the same for every seed`,
  );
  return given.map((split, row) => (chosen.has(row) ? 'test' : split));
}

function requireClasses(
  { source, hint = '' }: ImageListing,
  classes: readonly string[],
  broken: readonly BrokenFile[],
): void {
  if (classes.length >= 2) return;
  throw new DataError('mismatch', {
    operation: `loading the images of ${source}`,
    expected: 'two or more classes to tell apart',
    received: classes.length === 0 ? 'no image that can be read' : `one, '${classes[0] ?? ''}'`,
    remedy:
      classes.length === 0
        ? `Replace the broken files:\n${brokenList(broken)}`
        : `${hint}Sort the images into one folder per class, and pass the folder that contains those.`,
    path: source,
  });
}

function checkSplits(
  { source, hint = '' }: ImageListing,
  classes: readonly string[],
  splits: Readonly<Record<SplitName, ImageSplit<PixelSource>>>,
  reporter: DatasetOptions['reporter'],
): void {
  const missingIn = (split: SplitName): string[] => {
    const seen = new Set<number>(splits[split].labels);
    return classes.filter((_, label) => !seen.has(label));
  };
  const operation = `loading the images of ${source}`;
  const untrained = missingIn('train');
  if (untrained.length > 0) {
    throw new DataError('mismatch', {
      operation,
      expected: 'training images of every class',
      received: `none of ${firstNames(untrained)}`,
      remedy: `${hint}${untrainedRemedy(
        untrained,
        classes.filter((name) => !untrained.includes(name)),
      )}`,
      path: source,
    });
  }
  if (splits.test.count === 0) {
    throw new DataError('empty', {
      operation,
      expected: 'a class with at least two different images, one of them for testing',
      received: `one image of each of ${classes.length} classes`,
      remedy: 'Add images, or a test folder next to train.',
      path: source,
    });
  }
  const untested = missingIn('test');
  if (untested.length > 0) {
    reporter?.warning(
      `no test images, so accuracy will be unknown for these classes: ${firstNames(untested)}`,
    );
  }
}
