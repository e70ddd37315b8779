/** Lists the images of a CSV file with the columns path, label and, if wanted, split. */
import { dirname, resolve } from 'node:path';
import { DataError } from '../errors.ts';
import {
  completeListing,
  countOf,
  firstNames,
  splitNamed,
  type ImageListing,
  type ListedImage,
  type SplitName,
} from './listing.ts';
import { readTable, type TableRow } from './table.ts';

/** Headings of each column, in lower case. */
const HEADINGS = {
  path: ['path', 'file', 'filename', 'file_name', 'image', 'image_path', 'filepath'],
  label: ['label', 'class', 'category', 'target', 'class_name'],
  split: ['split', 'set', 'subset', 'partition'],
};

/** Position of each column. */
type Columns = Readonly<Record<keyof typeof HEADINGS, number>>;

/**
 * Lists the images of a table. Paths count from the table's folder. A first row with the headings `path` (or `file`,
 * `filename`, `image`) and `label` (or `class`, `category`, `target`) puts the columns in any order among others; without
 * one the columns are path, label and split. Split is one of train, validation (val, valid), test; empty means train.
 * @throws {@link DataError} for a table that cannot be read; `format` naming the line of a row without path or label or
 *   with another split; `empty` for one without rows.
 */
export async function listTable(path: string, signal?: AbortSignal): Promise<ImageListing> {
  const rows = await readTable(path);
  const headed = columnsOf(rows[0]?.cells ?? []);
  const content = headed === null ? rows : rows.slice(1);
  const columns = headed ?? { path: 0, label: 1, split: 2 };
  if (content.length === 0) {
    throw new DataError('empty', {
      operation: `listing the images of ${path}`,
      expected: 'rows of path,label',
      received: 'none',
      remedy: 'Write one row an image.',
      path,
    });
  }
  const folder = dirname(resolve(path));
  const hasSplits = content.some(({ cells }) => (cells[columns.split] ?? '').trim() !== '');
  const byPath = new Map<string, ListedImage>();
  const repeated: string[] = [];
  for (const row of content) {
    const image = readRow(row, columns, path, folder, hasSplits);
    const known = byPath.get(image.path);
    if (known === undefined) byPath.set(image.path, image);
    else if (known.className === image.className && known.split === image.split) repeated.push(image.name);
    else throw contradiction(row, path, known, image);
  }
  const notices =
    repeated.length === 0
      ? []
      : [`ignored, said before: ${countOf(repeated.length, 'row')} (${firstNames(repeated)})`];
  return completeListing(path, [...byPath.values()], notices, signal);
}

/** The columns by their headings; null where the first row has no heading for the path. */
function columnsOf(cells: readonly string[]): Columns | null {
  const names = cells.map((cell) => cell.trim().toLowerCase());
  const find = (column: keyof typeof HEADINGS): number =>
    names.findIndex((name) => HEADINGS[column].includes(name));
  const [path, label] = [find('path'), find('label')];
  if (path >= 0 && label >= 0) return { path, label, split: find('split') };
  return path === 0 ? { path: 0, label: 1, split: 2 } : null;
}

function readRow(
  row: TableRow,
  columns: Columns,
  path: string,
  folder: string,
  hasSplits: boolean,
): ListedImage {
  const cell = (column: keyof Columns): string => (row.cells[columns[column]] ?? '').trim();
  const [file, label, splitText] = [cell('path'), cell('label'), cell('split')];
  if (file === '' || label === '') {
    throw badRow(row, path, 'a path and a label', file === '' ? 'no path' : `no label for ${file}`);
  }
  let split: SplitName | null = null;
  if (hasSplits) {
    const named = splitText === '' ? 'train' : splitNamed(splitText);
    if (named === undefined) {
      throw badRow(
        row,
        path,
        `train, validation or test ${columns.split === 2 ? 'in the third column' : 'as split'}`,
        JSON.stringify(splitText),
      );
    }
    split = named;
  }
  return { name: file, path: resolve(folder, file), className: label.normalize('NFC'), split };
}

function contradiction(row: TableRow, path: string, first: ListedImage, second: ListedImage): DataError {
  const said = ({ className, split }: ListedImage): string =>
    `${className}${split === null ? '' : ` in ${split}`}`;
  return badRow(row, path, `one label and split for ${second.name}`, `${said(first)} and ${said(second)}`);
}

function badRow(row: TableRow, path: string, expected: string, received: string): DataError {
  return new DataError('format', {
    operation: `listing the images of ${path}, line ${row.line}`,
    expected,
    received,
    remedy: 'Correct the row, or take it out.',
    path,
  });
}
