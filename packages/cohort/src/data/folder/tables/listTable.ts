/** Lists the images of a table with the columns path, label and, if wanted, split. */
import { DataError } from '../../errors.ts';
import { completeListing, countOf, firstNames, type ImageListing, type ListedImage } from '../listing.ts';
import { joinSplits, splitOf, type SplitCell } from './splitColumns.ts';
import { readTable, type TableRow } from './table.ts';
import { isOne, readColumns, type TableColumns } from './tableColumns.ts';
import { findTablePaths } from './tablePaths.ts';

/** A row by what its cells say. */
interface ReadRow {
  readonly row: TableRow;
  readonly name: string;
  readonly className: string;
  readonly split: SplitCell;
}

/**
 * Lists the images of a table. Paths count from the table's folder. Columns are found by their headings, in any order among
 * others, or without headings by what is in them. A column of splits is used whatever it is called (`split`, `is_valid`,
 * `usage`); where it is empty, the row is for training.
 * @throws {@link DataError} for a table that cannot be read; `format` where it is open which column is which, and naming
 *   the line of a row without path or label or with another split; `empty` for one without rows; `missing` where none of
 *   the files is there
 */
export async function listTable(path: string, signal?: AbortSignal): Promise<ImageListing> {
  const columns = readColumns(await readTable(path), path);
  const read = columns.rows.map((row) => readRow(row, columns, path));
  const testHasLabels = read.some(({ split, className }) => split === 'test' && className !== '');
  const labelled = read.filter(
    ({ split, className }) =>
      split !== 'unlabelled' && !(split === 'test' && !testHasLabels && className === ''),
  );
  const missing = labelled.find(({ className }) => className === '');
  if (missing !== undefined)
    throw badRow(missing.row, path, 'a path and a label', `no label for ${missing.name}`);
  const found = await findTablePaths(
    labelled.map(({ name }) => name),
    path,
  );
  const hasSplits = labelled.some(({ split }) => split !== 'unsaid');
  const byPath = new Map<string, ListedImage>();
  const repeated: string[] = [];
  for (const [index, { row, name, className, split }] of labelled.entries()) {
    const image: ListedImage = {
      name,
      path: found.paths[index] ?? name,
      className: className.normalize('NFC'),
      split: hasSplits ? trainingUnlessSaid(split) : null,
    };
    const known = byPath.get(image.path);
    if (known === undefined) byPath.set(image.path, image);
    else if (known.className === image.className && known.split === image.split) repeated.push(name);
    else throw contradiction(row, path, known, image);
  }
  const images = [...byPath.values()];
  const leftOut = read.length - labelled.length;
  const several = severalLabels(images);
  return completeListing(
    path,
    images,
    {
      notices: [
        ...columns.notices,
        ...found.notices,
        ...(leftOut > 0
          ? [`ignored, without a label: ${countOf(leftOut, 'row')} to test or predict on`]
          : []),
        ...(repeated.length > 0
          ? [`ignored, said before: ${countOf(repeated.length, 'row')} (${firstNames(repeated)})`]
          : []),
      ],
      warnings: [
        ...columns.warnings,
        ...(areMeasures(images)
          ? ['the labels look like measurements: each distinct one is treated as a class']
          : []),
        ...(several.length > 0
          ? [
              `some labels seem to combine several: ${firstNames(several)}. Each is treated as a class of its own.`,
            ]
          : []),
      ],
    },
    signal,
  );
}

function readRow(row: TableRow, columns: TableColumns, path: string): ReadRow {
  const cell = (index: number): string => (row.cells[index] ?? '').trim();
  const { label } = columns;
  const name = cell(columns.path);
  const className =
    typeof label === 'number'
      ? cell(label)
      : (label.find(({ index }) => isOne(cell(index)))?.className ?? '');
  if (name === '') throw badRow(row, path, 'a path and a label', 'no path');
  const said = columns.splits.map((column) => splitOf(column, cell(column.index)));
  const wrong = columns.splits[said.indexOf(null)];
  if (wrong !== undefined) {
    const where = wrong.heading === '' ? 'in the third column' : `as ${wrong.heading}`;
    const expected = wrong.meaning === 'name' ? 'train, validation or test' : 'true or false';
    throw badRow(row, path, `${expected} ${where}`, JSON.stringify(cell(wrong.index)));
  }
  return { row, name, className, split: joinSplits(said) };
}

function trainingUnlessSaid(split: SplitCell): ListedImage['split'] {
  return split === 'test' || split === 'validation' ? split : 'train';
}

/** Labels such as `cat dog` or `cat|dog` in a table that has `cat` and `dog` as labels too. */
function severalLabels(images: readonly ListedImage[]): string[] {
  const labels = new Set(images.map(({ className }) => className));
  return [...labels].filter((label) =>
    [' ', '|', ',', ';'].some((separator) => {
      const parts = label.split(separator).map((part) => part.trim());
      return parts.length > 1 && parts.every((part) => labels.has(part));
    }),
  );
}

/** Whether most labels are fractions, and many of them differ: quantities rather than classes. */
function areMeasures(images: readonly ListedImage[]): boolean {
  const fractions = images.filter(({ className }) => /^-?\d*[.,]\d*[1-9]\d*$/.test(className));
  const different = new Set(fractions.map(({ className }) => className)).size;
  return fractions.length * 2 > images.length && different * 3 > images.length;
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
