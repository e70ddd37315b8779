/** What a folder or table of images lists, before any of it is decoded: files, classes, splits, and what was left out. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { errorText, isNothingThere } from '@cohort-ml/errors';
import { printable } from '../../support/printable.ts';
import { mapPool } from '../loading/pool.ts';
import { scriptsOf } from './confusables.ts';
import { lookAlikes, mixedScripts } from './lookAlikes.ts';
import type { SplitName } from './splitNames.ts';

/** One image file with what its place says of it. */
export interface ListedImage {
  /** Path inside of the folder with `/` between its parts, or as the table gives it. */
  readonly name: string;
  readonly path: string;
  /** In Unicode's composed form (NFC), so that names from macOS and Linux are the same. */
  readonly className: string;
  /** Null where nothing says it. */
  readonly split: SplitName | null;
}

/** A file that cannot be used, and why. */
export interface BrokenFile {
  readonly name: string;
  readonly reason: string;
}

/** An image file that is there. */
export interface FoundImage extends ListedImage {
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** Everything that was listed. */
export interface ImageListing {
  /** The folder or table, as the user named it. */
  readonly source: string;
  /** In the order of classes and then names, whatever order the file system has. */
  readonly images: readonly FoundImage[];
  /** In natural order: `class 2` before `class 10`. */
  readonly classes: readonly string[];
  /** Files that are listed but not there, or may not be looked at. */
  readonly broken: readonly BrokenFile[];
  /** What was left out or merged, a sentence each. */
  readonly notices: readonly string[];
  /** What may be wrong with the set, a sentence each: images that were lost, classes that look alike. */
  readonly warnings: readonly string[];
  /** What may help where the images turn out to be too few, in sentences with a blank at their end; empty for nothing. */
  readonly hint?: string;
}

/** What was found out while listing, besides the images. */
export interface ListingRemarks {
  readonly notices: readonly string[];
  readonly warnings: readonly string[];
  /** Folders that may not be read. */
  readonly broken?: readonly BrokenFile[];
  readonly hint?: string;
}

const collator = new Intl.Collator('en', { numeric: true });

/** Names as people count: `2` before `10`; names that look the same by their code points. */
export function naturalOrder(left: string, right: string): number {
  return collator.compare(left, right) || (left < right ? -1 : left > right ? 1 : 0);
}

/** Looks every file up, puts all in order, and finds the classes. */
export async function completeListing(
  source: string,
  listed: readonly ListedImage[],
  remarks: ListingRemarks,
  signal?: AbortSignal,
): Promise<ImageListing> {
  const shown = listed.map((image) => ({
    ...image,
    name: printable(image.name),
    className: printable(image.className),
  }));
  const found = await mapPool(
    shown,
    32,
    async (image): Promise<FoundImage | BrokenFile> => {
      try {
        const status = await stat(image.path);
        if (status.isFile()) return { ...image, bytes: status.size, modifiedMs: status.mtimeMs };
        return {
          name: image.name,
          reason: status.isDirectory() ? 'is a folder' : 'is not a regular file',
        };
      } catch (error) {
        return {
          name: image.name,
          reason: isNothingThere(error) ? 'there is no such file' : errorText(error),
        };
      }
    },
    signal,
  );
  // In the order of the listing, whichever file answered first.
  const broken = found.filter((entry) => 'reason' in entry);
  const images = found.filter((entry) => 'bytes' in entry);
  const classes = [...new Set(images.map((image) => image.className))].sort(naturalOrder);
  const position = new Map(classes.map((name, index) => [name, index]));
  images.sort(
    (left, right) =>
      (position.get(left.className) ?? 0) - (position.get(right.className) ?? 0) ||
      (left.name < right.name ? -1 : 1),
  );
  return {
    source,
    images,
    classes,
    broken: [...(remarks.broken ?? []), ...broken],
    notices: remarks.notices,
    warnings: [...remarks.warnings, ...describeLookAlikes(classes)],
    hint: remarks.hint ?? '',
  };
}

/** A warning of classes that look alike; none where all differ to the eye. */
function describeLookAlikes(classes: readonly string[]): string[] {
  const shown = lookAlikes(classes).map((names) => names.map((name) => JSON.stringify(name)).join(' and '));
  const mixed = mixedScripts(classes).map((names) =>
    names.map((name) => `${JSON.stringify(name)} (${scriptsOf(name).join(' and ')} letters)`).join(' and '),
  );
  return [
    ...(shown.length === 0
      ? []
      : [
          `classes whose names differ only in upper and lower case, blanks or hyphens are kept apart: ${firstNames(shown)}. Rename them where they mean the same.`,
        ]),
    ...(mixed.length === 0
      ? []
      : [
          `classes whose names look alike in letters of different scripts are kept apart: ${firstNames(mixed)}. Rename them where they mean the same.`,
        ]),
  ];
}

/** Changes whenever a file comes, goes, is renamed, changes its size or time, or moves to another class or split. */
export function listingHash(listing: ImageListing): string {
  const hash = createHash('sha256');
  for (const { name, path, className, split, bytes, modifiedMs } of listing.images) {
    hash.update(JSON.stringify([name, path, className, split, bytes, modifiedMs]));
  }
  return hash.digest('hex');
}

/** `3 files`, `1 file`. */
export function countOf(count: number, singular: string, plural = `${singular}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? singular : plural}`;
}

/** The first few names of many: `a, b, c and 4 more`. */
export function firstNames(names: readonly string[], shown = 3): string {
  const rest = names.length - shown;
  return `${names.slice(0, shown).map(printable).join(', ')}${rest > 0 ? ` and ${rest.toLocaleString('en-US')} more` : ''}`;
}
