/** Lists labelled images to measure a run on: whatever layout they have, as long as the names of the run's classes are in it. */
import { readdir } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { DataError } from '../data/errors.ts';
import { TABLE_ENDING } from '../data/folder/tables/tableEnding.ts';
import { listImages } from '../data/folder/folderDataset.ts';
import { folderAround } from '../data/folder/layout/folderAround.ts';
import { completeListing, countOf, firstNames, type ImageListing } from '../data/folder/listing.ts';
import { splitNamed, type SplitName } from '../data/folder/splitNames.ts';
import { imageFilesIn } from './imageFiles.ts';
import { matchClasses, type ClassMatch } from './classMatch.ts';

/** Folders inside the one given in which classes are looked for, at most so deep. */
const DEPTH = 3;

/** What was found, with the run's labels. */
export interface LabelledImages {
  readonly listing: ImageListing;
  readonly match: ClassMatch;
}

/**
 * A table, or a folder: with the classes right in it, in folders for splits of which any may be missing, or in other folders
 * around them; or the folder of a single class.
 * @param classes of the run
 * @throws {@link DataError} as for a folder of images, or `mismatch` where no class is one of the run's
 */
export async function listLabelledImages(
  path: string,
  classes: readonly string[],
  signal?: AbortSignal,
): Promise<LabelledImages> {
  let listing: ImageListing | null = null;
  let failure: unknown = null;
  try {
    listing = await listImages(path, signal === undefined ? {} : { signal });
    const match = matchClasses(listing.classes, classes);
    if (match.labels.size > 0) return { listing, match };
  } catch (error) {
    if (!(error instanceof DataError) || ['missing', 'unreadable'].includes(error.kind)) throw error;
    failure = error;
  }
  const inside = TABLE_ENDING.test(path) ? null : await listInside(path, classes, signal);
  if (inside !== null) return { listing: inside, match: matchClasses(inside.classes, classes) };
  if (listing === null) throw failure;
  throw new DataError('mismatch', {
    operation: `measuring on the images of ${path}`,
    expected: `images of the run's classes (${firstNames(classes, 5)})`,
    received: `images of others (${firstNames(listing.classes, 5)})`,
    remedy: 'Give the folders, or the labels in the table, the names of the classes of the run.',
    path,
  });
}

/** Images in folders further inside that have folders of the run's classes, or in a folder that is a class; null where there are none. */
async function listInside(
  path: string,
  classes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ImageListing | null> {
  const single = basename(resolve(path));
  if (matchClasses([single], classes).labels.size > 0) {
    const listed = [];
    for await (const file of imageFilesIn(path, signal)) {
      const name = relative(path, file).replaceAll('\\', '/');
      listed.push({ name, path: file, className: single.normalize('NFC'), split: null });
    }
    if (listed.length > 0) {
      return completeListing(
        path,
        listed,
        { notices: [await noticeOfOne(path, single, listed.length)], warnings: [] },
        signal,
      );
    }
  }
  const found = await foldersOfClasses(path, classes, DEPTH);
  if (found.length === 0) return null;
  const listings = await Promise.all(
    found.map(async (folder) => ({
      folder,
      ...(await listImages(folder, signal === undefined ? {} : { signal })),
    })),
  );
  const images = listings.flatMap(({ folder, images: each }) =>
    each.map((image) => ({
      ...image,
      name: `${relative(path, folder).replaceAll('\\', '/')}/${image.name}`,
      split: image.split ?? splitOf(relative(path, folder)),
    })),
  );
  return {
    source: path,
    images,
    classes: [...new Set(listings.flatMap((each) => each.classes))],
    broken: listings.flatMap(({ broken }) => broken),
    notices: [
      `classes were found in ${countOf(found.length, 'folder')}: ${firstNames(found.map((each) => relative(path, each)))}`,
      ...listings.flatMap(({ notices }) => notices),
    ],
    warnings: listings.flatMap(({ warnings }) => warnings),
  };
}

/** That a single class is measured, and what to give where all of them were meant. */
async function noticeOfOne(path: string, name: string, count: number): Promise<string> {
  const around = await folderAround(path);
  const rest = around === null ? '' : `; to measure the classes next to it as well: ${around}`;
  return `measuring a single class, ${name} (${countOf(count, 'image')})${rest}`;
}

async function foldersOfClasses(path: string, classes: readonly string[], depth: number): Promise<string[]> {
  const folders = (await readdir(path, { withFileTypes: true }).catch(() => []))
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
  if (matchClasses(folders, classes).labels.size > 0) return [path];
  if (depth === 0) return [];
  const inside = await Promise.all(
    folders.map((name) => foldersOfClasses(join(path, name), classes, depth - 1)),
  );
  return inside.flat();
}

/** The split that one of the folders on the way names: `test`, and also `test_set` or `seg_test`. */
function splitOf(place: string): SplitName | null {
  const words = place.toLowerCase().split(/[^a-z]+/);
  return words.map(splitNamed).find((split) => split !== undefined) ?? null;
}
