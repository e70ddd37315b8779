/** Finds the image files that a table lists, also where its paths were written on another machine or count from another folder. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DataError } from '../../errors.ts';
import { FileFinder } from './fileFinder.ts';
import { countOf, firstNames } from '../listing.ts';
import { roleNamed } from '../splitNames.ts';

/** The file of each row, and what had to be done to find them. */
export interface FoundPaths {
  readonly paths: readonly string[];
  readonly notices: readonly string[];
}

/** Rows that a guess about folders is tried on. */
const SAMPLE = 40;
/** Folders near the table that its paths may count from. */
const MOST_FOLDERS = 200;

const IMAGE_FOLDER = /^(?:images?|imgs?|jpeg_?images|pictures|pics|photos|data)$/i;

const isAddress = (name: string): boolean => /^[a-z][a-z0-9+.-]+:\/\//i.test(name);

/**
 * The path of every name. Names count from the table's folder; where not one file is there, a folder is looked for from
 * which all are found, with what all names have in common at their beginning taken off. One folder serves all rows: only
 * bare names, each of which is in a single folder below the table, are gathered from several.
 * @throws {@link DataError} `missing` where no file is found, or `argument` where several folders would do
 */
export async function findTablePaths(names: readonly string[], table: string): Promise<FoundPaths> {
  const folder = dirname(resolve(table));
  const finder = new FileFinder();
  const written = names.map(localName);
  const found = await mapNames(written, (name) => finder.find(folder, name));
  const asWritten = (name: string): string => resolve(folder, name);
  if (found.some((path) => path !== null)) {
    return {
      paths: found.map((path, index) => path ?? asWritten(written[index] ?? '')),
      notices: spellingNotices(written, found, asWritten),
    };
  }
  const place = await otherPlace(written, table, finder);
  const gathered = place?.hasAll === true ? null : await inSeveralFolders(written, table, finder);
  if (gathered !== null) return gathered;
  if (place === null) throw nothingThere(names, table, folder);
  const paths = await mapNames(written, (name) => finder.find(place.folder, place.inner(name)));
  const from = shownFolder(place.folder);
  const example = `${names[0] ?? ''} is ${relative(folder, paths[0] ?? '')}`;
  return {
    paths: paths.map((path, index) => path ?? resolve(place.folder, place.inner(written[index] ?? ''))),
    notices: [
      `the paths do not count from the table's folder: they were found from ${from}, ${place.common === '' ? '' : `without ${place.common}, `}for example ${example}`,
    ],
  };
}

async function mapNames<Result>(
  names: readonly string[],
  work: (name: string) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const name of names) results.push(await work(name));
  return results;
}

/** A name without `file://`. */
function localName(name: string): string {
  if (!/^file:\/\//i.test(name)) return name;
  try {
    return fileURLToPath(name);
  } catch {
    return name;
  }
}

function spellingNotices(
  names: readonly string[],
  found: readonly (string | null)[],
  asWritten: (name: string) => string,
): string[] {
  const changed = names.flatMap((name, index) => {
    const path = found[index] ?? null;
    return path === null || path === asWritten(name) ? [] : [`${name} is ${basename(path)}`];
  });
  if (changed.length === 0) return [];
  return [
    `found under another spelling or with an ending: ${countOf(changed.length, 'file')} (${firstNames(changed)})`,
  ];
}

/** A folder that names count from, and how they are shortened for that. */
interface Place {
  readonly folder: string;
  readonly common: string;
  /** Whether all names that were tried are there. */
  readonly hasAll: boolean;
  readonly inner: (name: string) => string;
}

async function otherPlace(
  names: readonly string[],
  table: string,
  finder: FileFinder,
): Promise<Place | null> {
  const parts = names.map((name) => name.split(/[/\\]+/));
  const shared = sharedFolders(parts);
  const step = Math.max(1, Math.floor(parts.length / SAMPLE));
  const sample = parts.filter((_, index) => index % step === 0);
  const near = await foldersNear(table);
  for (let taken = 0; taken <= shared; taken += 1) {
    const inner = (each: readonly string[]): string => each.slice(taken).join('/');
    const isLocal = taken > 0 || !names.some((name) => isAddress(name) || /^(?:[/\\]|[a-z]:)/i.test(name));
    if (!isLocal) continue;
    const hits: string[] = [];
    let most = 0;
    // With one folder taken off and another put before it, files of the same names elsewhere would pass for these.
    const folders = taken === 0 ? [...near.around, ...near.inside, ...near.beside] : near.around;
    for (const folder of folders) {
      const found = await mapNames(sample.map(inner), (name) => finder.find(folder, name));
      const count = found.filter((path) => path !== null).length;
      most = Math.max(most, count);
      if (count * 2 > sample.length) hits.push(folder);
    }
    const folder = chooseFolder(hits, table);
    if (folder !== null) {
      const [first = ''] = names;
      const common = taken === 0 ? '' : first.slice(0, first.length - inner(parts[0] ?? []).length);
      return { folder, common, hasAll: most === sample.length, inner: (name) => inner(name.split(/[/\\]+/)) };
    }
  }
  return null;
}

/** Bare names of which each is in just one of the folders below the table, such as parts of one set; null for others. */
async function inSeveralFolders(
  names: readonly string[],
  table: string,
  finder: FileFinder,
): Promise<FoundPaths | null> {
  if (names.some((name) => /[/\\]/.test(name))) return null;
  const { inside } = await foldersNear(table);
  const found = await mapNames(names, async (name) => {
    const places = await mapNames(inside, (folder) => finder.find(folder, name));
    return places.filter((path) => path !== null);
  });
  const twice = names[found.findIndex((paths) => paths.length > 1)];
  const count = found.filter((paths) => paths.length === 1).length;
  if (twice !== undefined || count * 2 <= names.length) return null;
  const folders = [...new Set(found.flatMap((paths) => paths.map((path) => dirname(path))))];
  const own = dirname(resolve(table));
  return {
    paths: names.map((name, index) => found[index]?.[0] ?? resolve(own, name)),
    notices: [
      `the paths are bare names: they were found in ${firstNames(folders.map((folder) => relative(own, folder)))}`,
    ],
  };
}

/** How many folders at their beginning all names have in common. */
function sharedFolders(parts: readonly (readonly string[])[]): number {
  const [first = []] = parts;
  let shared = first.length - 1;
  for (const each of parts) {
    let same = 0;
    while (same < shared && same < each.length - 1 && each[same] === first[same]) same += 1;
    shared = same;
  }
  return Math.max(0, shared);
}

/** Folders near a table that its paths may count from. */
interface NearFolders {
  /** The table's own, the current one, and the one above. */
  readonly around: readonly string[];
  readonly inside: readonly string[];
  /** Folders next to the table's that are named for images or a split; others may be of another set. */
  readonly beside: readonly string[];
}

async function foldersNear(table: string): Promise<NearFolders> {
  const own = dirname(resolve(table));
  const inside = await subfolders(own);
  const deeper = (await Promise.all(inside.slice(0, MOST_FOLDERS).map(subfolders))).flat();
  const above = dirname(own);
  const beside = (await subfolders(above)).filter((folder) => {
    const name = basename(folder);
    return folder !== own && (IMAGE_FOLDER.test(name) || roleNamed(name)?.rest === '');
  });
  return {
    around: [...new Set([own, process.cwd(), above])],
    inside: [...inside, ...deeper].slice(0, MOST_FOLDERS),
    beside,
  };
}

async function subfolders(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'))
      .map(({ name }) => join(folder, name))
      .sort();
  } catch {
    return [];
  }
}

/** The only folder, or that of the split which the table is named for; null for none. @throws DataError for several */
function chooseFolder(folders: readonly string[], table: string): string | null {
  const [first, ...others] = folders;
  if (first === undefined) return null;
  if (others.length === 0) return first;
  const role = roleNamed(basename(table).replace(/\.[^.]*$/, ''))?.role;
  const named =
    role === undefined ? [] : folders.filter((folder) => roleNamed(basename(folder))?.role === role);
  if (named.length === 1 && named[0] !== undefined) return named[0];
  throw new DataError('argument', {
    operation: `listing the images of ${table}`,
    expected: 'paths that say which folder the images are in',
    received: `names that are in ${folders.map(shownFolder).join(' and ')}`,
    remedy: "Write the paths from the table's folder on, with the folder before each name.",
    path: table,
  });
}

/** A folder from the current one where it is in that. */
function shownFolder(folder: string): string {
  const inner = relative(process.cwd(), folder);
  if (inner === '') return 'the current folder';
  return inner.startsWith('..') ? folder : inner;
}

function nothingThere(names: readonly string[], table: string, folder: string): DataError {
  const [first = ''] = names;
  const addresses = names.filter((name) => isAddress(name) && !/^file:/i.test(name)).length;
  return new DataError('missing', {
    operation: `listing the images of ${table}`,
    expected: `image files, whose paths count from the table's folder ${folder}`,
    received:
      addresses === names.length
        ? `addresses such as ${first}`
        : `none of ${names.length.toLocaleString('en-US')} there (${firstNames(names)})`,
    remedy:
      addresses > 0
        ? 'Addresses are not fetched: download the images into that folder, and write their paths in the table.'
        : "Put the table next to the images, or write paths relative to the table's folder.",
    path: table,
  });
}
