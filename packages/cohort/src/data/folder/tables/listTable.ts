/** Lists the images of a table with the columns path, label and, if wanted, split. */
import { DataError } from '../../errors.ts';
import { completeListing, countOf, firstNames, type ImageListing, type ListedImage } from '../listing.ts';
import { readLabel, wholeNumbers } from './labelCells.ts';
import { joinSplits, splitOf, type SplitCell } from './splitColumns.ts';
import { readTable, type TableRow } from './table.ts';
import { isOne, readColumns, type TableColumns } from './tableColumns.ts';
import { findTablePaths } from './tablePaths.ts';

/** A row by what its cells say. */
interface ReadRow {
  readonly row: TableRow;
  readonly name: string;
  /** Empty where the label is missing. */
  readonly className: string;
  /** Whether the label was written as a list of one. */
  readonly isList: boolean;
  readonly split: SplitCell;
}

/** How a table is listed. */
export interface TableOptions {
  readonly signal?: AbortSignal | undefined;
  /** Refuses rows without a label instead of leaving them out. */
  readonly strict?: boolean | undefined;
}

/**
 * Lists the images of a table. Paths count from the table's folder. Columns are found by their headings, in any order among
 * others, or without headings by what is in them. A column of splits is used whatever it is called (`split`, `is_valid`,
 * `usage`); where it is empty, the row is for training. Rows whose label is missing ({@link readLabel}) are left out with a
 * warning.
 * @throws {@link DataError} for a table that cannot be read; `format` where it is open which column is which, and naming
 *   the line of a row without path, with several labels or with another split; `empty` for one without rows or labels;
 *   `missing` where none of the files is there; `label` for missing labels where that is asked for
 */
export async function listTable(
  path: string,
  { signal, strict = false }: TableOptions = {},
): Promise<ImageListing> {
  const columns = readColumns(await readTable(path), path);
  const read = columns.rows.map((row) => readRow(row, columns, path));
  const testHasLabels = read.some(({ split, className }) => split === 'test' && className !== '');
  const asked = read.filter(
    ({ split, className }) =>
      split !== 'unlabelled' && !(split === 'test' && !testHasLabels && className === ''),
  );
  const missing = asked.filter(({ className }) => className === '');
  if (missing.length > 0 && (strict || missing.length === asked.length)) {
    throw missingLabels(missing, path, strict);
  }
  const named = asked.filter(({ className }) => className !== '');
  const whole = wholeNumbers(named.map(({ className }) => className));
  const labelled = named.map((each, index) => ({ ...each, className: whole?.[index] ?? each.className }));
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
  const hasTraining = !hasSplits || images.some(({ split }) => split === 'train');
  const splitHeadings = columns.splits.map(({ heading }) => heading).filter((heading) => heading !== '');
  const leftOut = read.length - asked.length;
  const lists = labelled.filter(({ isList }) => isList);
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
        ...(whole === null ? [] : ['labels such as 1.0 are taken as whole numbers: 1']),
        ...(lists.length > 0
          ? [
              `labels written as lists of one, such as ['cat'], are taken as their element: ${countOf(lists.length, 'row')}`,
            ]
          : []),
        ...(repeated.length > 0
          ? [`ignored, said before: ${countOf(repeated.length, 'row')} (${firstNames(repeated)})`]
          : []),
      ],
      warnings: [
        ...columns.warnings,
        ...(missing.length > 0
          ? [
              `left out, without a label: ${shownMissing(missing)}. If that is the name of a class, write another, such as no_label.`,
            ]
          : []),
        ...(areMeasures(images)
          ? ['the labels look like measurements: each distinct one is treated as a class']
          : []),
        ...(several.length > 0
          ? [
              `some labels seem to combine several: ${firstNames(several)}. Each is treated as a class of its own.`,
            ]
          : []),
      ],
      ...(hasTraining
        ? {}
        : {
            hint: `The split (${splitHeadings.length === 0 ? 'a column without a heading' : `column ${splitHeadings.join(', ')}`}) of no row is train. `,
          }),
    },
    signal,
  );
}

function readRow(row: TableRow, columns: TableColumns, path: string): ReadRow {
  const cell = (index: number): string => (row.cells[index] ?? '').trim();
  const { label } = columns;
  const name = cell(columns.path);
  if (name === '') throw badRow(row, path, 'a path and a label', 'no path');
  const found =
    typeof label === 'number'
      ? readLabel(cell(label))
      : readLabel(label.find(({ index }) => isOne(cell(index)))?.className ?? '');
  if (found.kind === 'several') throw severalIn(row, path, found.labels);
  const said = columns.splits.map((column) => splitOf(column, cell(column.index)));
  const wrong = columns.splits[said.indexOf(null)];
  if (wrong !== undefined) {
    const where = wrong.heading === '' ? 'in the third column' : `as ${wrong.heading}`;
    const expected = wrong.meaning === 'name' ? 'train, validation or test' : 'true or false';
    throw badRow(row, path, `${expected} ${where}`, JSON.stringify(cell(wrong.index)));
  }
  const { label: className, isList } = found.kind === 'label' ? found : { label: '', isList: false };
  return { row, name, className, isList, split: joinSplits(said) };
}

function shownMissing(missing: readonly ReadRow[]): string {
  const lines = missing.map(({ row, name }) => `line ${row.line}: ${name}`);
  return `${countOf(missing.length, 'row')} (${firstNames(lines)})`;
}

function missingLabels(missing: readonly ReadRow[], path: string, strict: boolean): DataError {
  return new DataError('label', {
    operation: `listing the images of ${path}`,
    expected: strict ? 'a label in every row, since data.strict is set' : 'rows with a label',
    received: `none in ${shownMissing(missing)}`,
    remedy: strict
      ? 'Write the labels, take the rows out, or leave out --strict (data.strict=false).'
      : 'Write the labels; blank cells and those such as NaN, None, NULL and N/A count as missing.',
    path,
  });
}

function severalIn(row: TableRow, path: string, labels: readonly string[]): DataError {
  return new DataError('format', {
    operation: `listing the images of ${path}, line ${row.line}`,
    expected: 'one label per image',
    received: `a list of ${labels.length}: ${firstNames(labels, 5)}`,
    remedy:
      'Cohort trains classifiers with one label per image: keep one of them in each row, or leave such images out.',
    path,
  });
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
