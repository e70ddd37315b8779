/** Loads the dataset `unlabelled`: every picture of a folder to learn from, and held-out ones that progress is measured on. */
import type { DatasetOptions, ImageDataset, ImageSplit } from '../dataset.ts';
import { DataError } from '../errors.ts';
import { UNLABELLED } from '../labels.ts';
import type { PixelSource } from '../loading/pixelSource.ts';
import { digestOf, FOLDER_FIT, usableImages, type Usable } from './folderDataset.ts';
import { countOf, type ImageListing } from './listing.ts';
import { listUnlabelled, tooFewPictures } from './listUnlabelled.ts';
import { chooseTestImages } from './split.ts';
import type { SplitName } from './splitNames.ts';
import { decodeListing, type StoredSet } from './pixels/store.ts';

/** Held out of pictures without labels: alignment and uniformity need no more. */
const HELD_OUT_SHARE = 0.05;
const MOST_HELD_OUT = 500;

/** @throws {DataError} for everything that is wrong with the folder, and for fewer than two different pictures */
export async function loadUnlabelled(options: DatasetOptions): Promise<ImageDataset<PixelSource>> {
  if (options.path == null) {
    throw new DataError('missing', {
      operation: 'loading pictures without labels',
      expected: 'the path of their folder',
      received: 'none',
      remedy: 'Set data.path=FOLDER.',
    });
  }
  const { reporter } = options;
  const listing = await listUnlabelled(options.path, options);
  const { source, notices, warnings } = listing;
  for (const notice of notices) reporter?.message(`${source}: ${notice}`);
  for (const warning of warnings) reporter?.warning(`${source}: ${warning}`);
  const stored = await decodeListing(listing, FOLDER_FIT, options);
  try {
    warnOfSmall(stored, listing, reporter);
    const dataset = splitUp(listing, stored, usableImages(listing, stored, options), reporter);
    return { ...dataset, notices, dispose: stored.dispose };
  } catch (error) {
    stored.dispose();
    throw error;
  }
}

/** Enlarged pictures have no detail that two crops could differ in. */
function warnOfSmall(
  { smaller, shape: { height, width } }: StoredSet,
  { source, images }: ImageListing,
  reporter: DatasetOptions['reporter'],
): void {
  if (smaller === 0) return;
  reporter?.warning(
    `${source}: ${smaller.toLocaleString('en-US')} of ${countOf(images.length, 'picture')} are smaller than the ${height} x ${width} that crops are brought to, and are enlarged. Lower data.imageSize if they are many.`,
  );
}

function splitUp(
  { source, classes }: ImageListing,
  stored: StoredSet,
  usable: readonly Usable[],
  reporter: DatasetOptions['reporter'],
): ImageDataset<PixelSource> {
  const present = new Set(usable.map(({ image }) => image.className));
  const known = classes.filter((name) => name !== UNLABELLED && present.has(name));
  const hasLabels = known.length >= 2;
  // The last place, so that labels are those of a training on the labelled pictures alone.
  const named = hasLabels ? [...known, ...(present.has(UNLABELLED) ? [UNLABELLED] : [])] : [UNLABELLED];
  const labels = usable.map(({ image }) =>
    Math.max(0, named.indexOf(hasLabels ? image.className : UNLABELLED)),
  );
  const splits = hasLabels
    ? labelledSplits(usable, labels, named.indexOf(UNLABELLED))
    : heldOutSplits(usable);
  const rowsOf = (split: SplitName): number[] => [...usable.keys()].filter((row) => splits[row] === split);
  const tested = new Set(rowsOf('test').map((row) => usable[row]?.pixelDigest));
  const training = rowsOf('train');
  const kept = training.filter((row) => !tested.has(usable[row]?.pixelDigest));
  if (kept.length < training.length) {
    reporter?.message(
      `${source}: left out of training, since test images hold the same: ${countOf(training.length - kept.length, 'picture')}`,
    );
  }
  const make = (rows: readonly number[]): ImageSplit<PixelSource> => ({
    images: stored.pixels.select(Int32Array.from(rows, (row) => usable[row]?.index ?? 0)),
    labels: Int32Array.from(rows, (row) => labels[row] ?? 0),
    count: rows.length,
    fileOf: (place) => {
      const { image, pixelDigest = '', bytesDigest = '' } = usable[rows[place] ?? 0] ?? {};
      return { name: image?.name ?? '', pixelDigest, bytesDigest };
    },
  });
  const [train, validation, test] = [make(kept), make(rowsOf('validation')), make(rowsOf('test'))];
  if (train.count === 0 || test.count === 0) throw tooFewPictures(source, howMany(usable.length));
  const { channels, height, width } = stored.shape;
  const held = hasLabels
    ? `${countOf(test.count, 'test image')} of ${known.length} classes`
    : `${countOf(test.count, 'picture')} held out to measure progress`;
  reporter?.message(
    `${source}: ${countOf(train.count, 'picture')} to learn from without labels, ${held}, as ${height} x ${width} ${channels === 1 ? 'grey' : 'colour'}`,
  );
  const unlabelledClass = named.indexOf(UNLABELLED);
  return {
    name: 'unlabelled',
    classes: named,
    ...(unlabelledClass < 0 ? {} : { unlabelledClass }),
    ...stored.shape,
    fit: FOLDER_FIT,
    train,
    test,
    ...(validation.count > 0 ? { validation } : {}),
    contentDigest: digestOf(
      usable.map(({ image, pixelDigest, bytesDigest }, row) => ({
        ...{ name: image.name, className: named[labels[row] ?? 0] ?? '', split: splits[row] ?? 'train' },
        ...{ pixelDigest, bytesDigest },
      })),
    ),
  };
}

/** As a training on the labelled pictures splits them, so that its test images are not learned from here. */
function labelledSplits(
  usable: readonly Usable[],
  labels: readonly number[],
  unlabelled: number,
): SplitName[] {
  const given = usable.map(({ image }): SplitName => image.split ?? 'train');
  if (given.includes('test')) return given;
  const rows = [...given.keys()].filter((row) => given[row] === 'train' && labels[row] !== unlabelled);
  const isTest = chooseTestImages(
    rows.map((row) => labels[row] ?? 0),
    rows.map((row) => usable[row]?.pixelDigest ?? ''),
  );
  const chosen = new Set(rows.filter((_, position) => isTest[position]));
  return given.map((split, row) => (chosen.has(row) ? 'test' : split));
}

function heldOutSplits(usable: readonly Usable[]): SplitName[] {
  const isHeldOut = chooseTestImages(
    usable.map(() => 0),
    usable.map(({ pixelDigest }) => pixelDigest),
    (total) => Math.min(MOST_HELD_OUT, Math.max(1, Math.round(total * HELD_OUT_SHARE))),
  );
  return isHeldOut.map((each) => (each ? 'test' : 'train'));
}

function howMany(usable: number): string {
  return usable < 2
    ? countOf(usable, 'picture that can be read', 'pictures that can be read')
    : `${countOf(usable, 'picture')}, all the same`;
}
