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

const PATH_HEADINGS = ['path', 'file', 'filename', 'file_name', 'image', 'image_path', 'filepath'];

/**
 * Lists the images of a table. Paths count from the table's folder. A first row with the heading `path` (or `file`,
 * `filename`, `image`) is recognised; split is one of train, validation (val, valid), test; empty means train.
 * @throws {@link DataError} for a table that cannot be read; `format` naming the line of a row without path or label or
 *   with another split; `empty` for one without rows.
 */
export async function listTable(path: string, signal?: AbortSignal): Promise<ImageListing> {
  const rows = await readTable(path);
  const hasHeading = PATH_HEADINGS.includes(rows[0]?.cells[0]?.trim().toLowerCase() ?? '');
  const content = hasHeading ? rows.slice(1) : rows;
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
  const hasSplits = content.some(({ cells }) => (cells[2] ?? '').trim() !== '');
  const byPath = new Map<string, ListedImage>();
  const repeated: string[] = [];
  for (const row of content) {
    const image = readRow(row, path, folder, hasSplits);
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

function readRow(row: TableRow, path: string, folder: string, hasSplits: boolean): ListedImage {
  const [file = '', label = '', splitText = ''] = row.cells.map((cell) => cell.trim());
  if (file === '' || label === '') {
    throw badRow(row, path, 'a path and a label', file === '' ? 'no path' : `no label for ${file}`);
  }
  let split: SplitName | null = null;
  if (hasSplits) {
    const named = splitText === '' ? 'train' : splitNamed(splitText);
    if (named === undefined) {
      throw badRow(row, path, 'train, validation or test in the third column', JSON.stringify(splitText));
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
