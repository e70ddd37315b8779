/** Says what was given in place of a folder or table of images, and what to do: for messages about wrong paths. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { nearestName } from '../../support/nearestName.ts';
import { exists } from '../places.ts';
import { fileSignature } from './imageSignature.ts';

/** What a path turned out to be. */
export interface SourceDescription {
  readonly what: string;
  readonly remedy: string;
}

/** What to do with a spreadsheet. */
export const SPREADSHEET_REMEDY =
  'Save it as CSV (UTF-8) with the columns path and label, and give that file.';

/** Files that are known by their endings rather than by their bytes. */
const BY_ENDING: readonly (readonly [endings: RegExp, what: string, remedy: string])[] = [
  [/^\.(?:xls[xmb]?|ods|numbers)$/, 'a spreadsheet', SPREADSHEET_REMEDY],
  [
    /^\.(?:parquet|feather|arrow|json|pkl|db|sqlite)$/,
    'a table in a format that is not read',
    'Write it as CSV with the columns path and label, and give that file.',
  ],
  [
    /^\.(?:npz?|mat|h5|hdf5|tfrecords?|lmdb)$/,
    'an array file',
    'Write its images as PNG files, one folder per class, and give the folder around those.',
  ],
  [
    /^\.(?:pt|pth|safetensors|onnx|ckpt|bin)$/,
    'a file of weights',
    'Give a recipe or a folder of images; weights to start from go into networks.0.weights.',
  ],
];

/** Describes a file that was given for a folder or table of images. */
export async function describeSource(path: string): Promise<SourceDescription> {
  const signature = await fileSignature(path);
  const known = BY_ENDING.find(([endings]) => endings.test(extname(path).toLowerCase()));
  if (known !== undefined) return { what: known[1], remedy: known[2] };
  const kind = signature?.kind;
  const what = signature?.name ?? 'another file';
  if (kind === 'spreadsheet') return { what, remedy: SPREADSHEET_REMEDY };
  if (kind === 'archive') return { what, remedy: 'Unpack it, and give the folder that comes of it.' };
  if (kind === 'pointer') return { what, remedy: 'Get the file: git lfs pull.' };
  if (kind !== 'image' && kind !== 'foreignImage') return { what, remedy: 'Check the path.' };
  return {
    what: `a single image (${what.replace(/^an? /, '').replace(/ image$/, '')})`,
    remedy:
      'Give the folder around the folders of the classes. To classify one image: cohort predict RUN IMAGE.',
  };
}

/** A hint for a path with nothing at it: the nearest name beside it, or what is odd about how it is written; null for none. */
export async function nearestPath(path: string): Promise<string | null> {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(path)) {
    return 'Addresses are not fetched: download the images, and give their folder.';
  }
  if (path.startsWith('~')) {
    return 'The shell leaves ~ as it is inside of quotes: write the path of your home folder out.';
  }
  const slashes = path.replaceAll('\\', '/');
  if (slashes !== path && (await exists(slashes))) return `Did you mean ${slashes}?`;
  const parent = dirname(slashes);
  const siblings = await namesIn(parent);
  if (siblings === null) {
    const above = parent === slashes ? null : await nearestPath(parent);
    return above ?? `There is no folder ${parent} either.`;
  }
  const name = basename(slashes);
  const same = siblings.find((sibling) => sibling.normalize('NFC') === name.normalize('NFC'));
  const nearest = same ?? nearestName(name, siblings);
  if (nearest === null) return null;
  const hint = parent === '.' && !path.startsWith('.') ? nearest : join(parent, nearest);
  const shown = path.startsWith('./') ? `./${hint}` : hint;
  return `Did you mean ${shown}${same === undefined ? '' : ', whose letters are composed in another way'}?`;
}

async function namesIn(folder: string): Promise<string[] | null> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.'));
  } catch {
    return null;
  }
}

/** Endings of files that hold images in them. */
const ARRAYS = /\.(?:parquet|arrow|feather|tfrecords?|npz|npy|h5|hdf5|mat|lmdb)$/i;

/** A sentence that points to tables in a folder whose images are not sorted, and a blank; empty where there are none. */
export async function tablesBeside(folder: string): Promise<string> {
  const names = (await namesIn(folder)) ?? [];
  // Hugging Face's folders have a table in each split.
  const inside = await Promise.all(
    names.slice(0, MOST_FOLDERS).map(async (name) => (await namesIn(join(folder, name))) ?? []),
  );
  const files = [
    ...names,
    ...inside.flatMap((each, index) => each.map((name) => join(names[index] ?? '', name))),
  ];
  const tables = files.filter((name) => /\.(?:csv|tsv|jsonl)$/i.test(name));
  if (tables.length > 0) {
    const shown = tables.slice(0, 3).map((name) => join(folder, name));
    return `There ${tables.length === 1 ? 'is a table' : 'are tables'} in it, which may say the classes: give ${shown.join(' or ')}. `;
  }
  const sheets = files.filter((name) => /\.(?:xls[xmb]?|ods|numbers)$/i.test(name));
  if (sheets.length > 0) {
    return `There ${sheets.length === 1 ? 'is a spreadsheet' : 'are spreadsheets'} in it, which may say the classes (${sheets.slice(0, 3).join(', ')}): save it as CSV (UTF-8) with the columns path and label, and give that file. `;
  }
  const arrays = files.filter((name) => ARRAYS.test(name));
  if (arrays.length === 0) return '';
  return `There may be images inside of ${arrays.slice(0, 3).join(', ')}: write them as PNG files, one folder per class. `;
}

/** Folders that are looked into for tables. */
const MOST_FOLDERS = 50;
