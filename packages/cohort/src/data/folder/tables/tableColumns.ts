/** Finds out which column of a table is the path, which the label, and which the split, with or without headings. */
import { DataError } from '../../errors.ts';
import { countOf, firstNames } from '../listing.ts';
import { plainHeading, splitColumns, type SplitColumn } from './splitColumns.ts';
import type { TableRow } from './table.ts';
import { IMAGE_ENDINGS } from '../walk.ts';

/** What the columns of a table are. */
export interface TableColumns {
  readonly path: number;
  /** One column, or one for each class with a 1 in that of the row's. */
  readonly label: number | readonly { readonly index: number; readonly className: string }[];
  readonly splits: readonly SplitColumn[];
  /** Rows below the headings. */
  readonly rows: readonly TableRow[];
  readonly notices: readonly string[];
  readonly warnings: readonly string[];
}

/** Headings, as plain letters; the first are the likelier. */
const PATHS =
  'path filepath filepaths imagepath imgpath fullpath relativepath filename filenames fname imagefilename imagefile file files imagename imgname image images img imgs picture photo uri imageuri imageuris gcsuri gcsfilepath url imageurl src location imageid imageids imgid fileid uuid uid id key name'.split(
    ' ',
  );
const LABELS =
  'label labels class classes classname classnames labelname category categories categoryname cat cats target targets y tag tags breed breeds species diagnosis dx disease variety groundtruth classlabel imagelabel'.split(
    ' ',
  );
const LABEL_NUMBERS = 'classid labelid categoryid targetid classidx labelidx classindex labelindex'.split(
  ' ',
);
const BOXES = /^(?:[xy](?:min|max|[12])|bbox|box|boundingbox)$/;
const INDEX = /^(?:|unnamed\d*|index|idx)$/;

/** Rows that tell what a column holds. */
const SAMPLE = 200;

/**
 * Finds the columns. A first row counts as headings where it has the heading of a path, or differs from what stands below.
 * @throws {@link DataError} `format` where it is open which column is which; `empty` for a table without rows
 */
export function readColumns(given: readonly TableRow[], table: string): TableColumns {
  const above = linesAbove(given);
  const all = given.slice(above);
  const found = columnsOf(all, table);
  if (above === 0) return found;
  const lines = given.slice(0, above).map(({ cells }) => cells.join(' ').trim());
  return {
    ...found,
    notices: [`skipped above the table: ${countOf(above, 'line')} (${firstNames(lines)})`, ...found.notices],
  };
}

/** How many lines stand above a table: comments and titles, of one cell where the rows have several. */
function linesAbove(rows: readonly TableRow[]): number {
  const filledCells = ({ cells }: TableRow): string[] => cells.filter((cell) => cell.trim() !== '');
  const first = rows.findIndex((row) => filledCells(row).length > 1);
  const isTitle = (row: TableRow): boolean => !isImageName((filledCells(row)[0] ?? '').trim());
  return first > 0 && rows.length > first + 1 && rows.slice(0, first).every(isTitle) ? first : 0;
}

function columnsOf(all: readonly TableRow[], table: string): TableColumns {
  const count = Math.max(0, ...all.map(({ cells }) => cells.length));
  const sample = all.slice(0, SAMPLE);
  const isImages = Array.from({ length: count }, (_, index) => looksLikeImages(sample, index));
  const headings = headingsOf(all, isImages);
  const rows = headings === null ? all : all.slice(1);
  if (rows.length === 0) {
    throw new DataError('empty', {
      operation: `listing the images of ${table}`,
      expected: 'rows of path,label',
      received: 'none',
      remedy: 'Write one row per image.',
      path: table,
    });
  }
  if (headings !== null) assertNoMoreCells(rows, headings, table);
  const values = rows.map(({ cells }) => cells);
  const isUsed = (index: number): boolean => values.some((cells) => (cells[index] ?? '').trim() !== '');
  const columns = Array.from({ length: count }, (_, index) => index).filter(isUsed);
  const path = pathColumn(columns, headings, isImages);
  if (path === null) throw unclear(table, headings, all, 'which column holds the paths of the images');
  if (headings === null) return withoutHeadings({ path, columns, rows, count, table, all });
  const splits = splitColumns(headings, values, count, LABELS).filter(
    ({ index }) => index !== path && columns.includes(index),
  );
  const plain = headings.map(plainHeading);
  const others = columns.filter(
    (index) => index !== path && !splits.some((split) => split.index === index) && !isImages[index],
  );
  const isBoxes = others.some((index) => BOXES.test(plain[index] ?? ''));
  const named = others.filter((index) => LABELS.includes(plain[index] ?? ''));
  const numbers = others.filter((index) => LABEL_NUMBERS.includes(plain[index] ?? ''));
  const rest = others.filter((index) => !INDEX.test(plain[index] ?? '') && !BOXES.test(plain[index] ?? ''));
  const headingOf = (index: number): string => headings[index] ?? '';
  const hot = oneHot(
    [...new Set([...named, ...rest])].sort((left, right) => left - right),
    values,
  );
  // A class may be called as a label is (`cat`): then its column is one of the flags, and there are others.
  const isClass =
    named.length === 0 ||
    (hot !== null &&
      named.every((index) => hot.includes(index)) &&
      (hot.length > 2 || named.every((index) => /^cats?$/.test(plain[index] ?? ''))));
  const classes = isClass ? hot : null;
  const label =
    classes?.map((index) => ({ index, className: headingOf(index).trim() })) ??
    labelColumn({ named, numbers, rest }, values);
  if (label === null) {
    const blank = headings.findIndex(
      (heading, index) => LABELS.includes(plainHeading(heading)) && !isUsed(index),
    );
    if (blank >= 0 && rest.length === 0) throw withoutLabels(table, headingOf(blank), rows.length);
    const candidates = named.length > 0 ? named : rest;
    throw unclear(
      table,
      headings,
      all,
      candidates.length === 0
        ? 'a column with the label of each image'
        : `which of the columns ${candidates.map(headingOf).join(', ')} is the label`,
    );
  }
  const used = new Set([
    path,
    ...splits.map(({ index }) => index),
    ...(typeof label === 'number' ? [label] : label.map(({ index }) => index)),
  ]);
  const unused = columns.filter((index) => !used.has(index) && !INDEX.test(plain[index] ?? ''));
  return {
    path,
    label,
    splits,
    rows,
    notices: [
      ...(typeof label === 'number' && !LABELS.includes(plain[label] ?? '')
        ? [`the column ${headingOf(label)} is used as the label`]
        : []),
      ...(typeof label === 'number'
        ? []
        : [`the columns ${firstNames(label.map(({ className }) => className))} are used as the classes`]),
      ...splits.map(({ heading }) => `the column ${heading} is used as the split`),
      ...(unused.length > 0 ? [`columns that are not used: ${firstNames(unused.map(headingOf), 8)}`] : []),
    ],
    warnings: isBoxes
      ? ['the table has bounding boxes: they are not used, and each image is one example of its label']
      : [],
  };
}

/** A row with more cells than headings has a separator in a cell, whose rest would be lost. @throws {@link DataError} `format` */
function assertNoMoreCells(rows: readonly TableRow[], headings: readonly string[], table: string): void {
  const longer = rows.find(({ cells }) => cells.slice(headings.length).some((cell) => cell.trim() !== ''));
  if (longer === undefined) return;
  throw new DataError('format', {
    operation: `listing the images of ${table}, line ${longer.line}`,
    expected: `at most ${countOf(headings.length, 'cell')}, one for each heading`,
    received: `${longer.cells.length}: ${longer.cells.join(' | ').slice(0, 120)}`,
    remedy: 'Put a cell that contains the separator into double quotes.',
    path: table,
  });
}

/** Whether most cells of a column are names of image files. */
function looksLikeImages(sample: readonly TableRow[], index: number): boolean {
  const cells = sample.map((row) => (row.cells[index] ?? '').trim()).filter((cell) => cell !== '');
  return cells.length > 0 && cells.filter(isImageName).length * 2 >= cells.length;
}

function isImageName(cell: string): boolean {
  const ending = /\.([a-z]+)(?:[?#].*)?$/i.exec(cell)?.[1] ?? '';
  return IMAGE_ENDINGS.has(ending.toLowerCase());
}

/** The first row where it is no image; null where it is one. */
function headingsOf(all: readonly TableRow[], isImages: readonly boolean[]): readonly string[] | null {
  const [first, ...rest] = all;
  if (first === undefined || first.cells.some((cell) => isImageName(cell.trim()))) return null;
  const plain = first.cells.map(plainHeading);
  if (plain.some((heading) => PATHS.includes(heading))) return first.cells;
  const images = isImages.indexOf(true);
  if (images < 0 || rest.length === 0) return null;
  // A file without an ending rather than a heading, where what stands beside it is a label of other rows.
  const isRow = first.cells.some(
    (cell, index) => index !== images && rest.some(({ cells }) => cells[index]?.trim() === cell.trim()),
  );
  return isRow ? null : first.cells;
}

function pathColumn(
  columns: readonly number[],
  headings: readonly string[] | null,
  isImages: readonly boolean[],
): number | null {
  const byHeading = columns
    .map((index) => ({ index, rank: PATHS.indexOf(plainHeading(headings?.[index] ?? '')) }))
    .filter(({ rank }) => rank >= 0)
    .sort((left, right) => left.rank - right.rank);
  const images = columns.filter((index) => isImages[index]);
  const both = byHeading.find(({ index }) => isImages[index]);
  return both?.index ?? images[0] ?? byHeading[0]?.index ?? null;
}

/** The label among named columns, or the only column that is left; null where there are several or none. */
function labelColumn(
  found: Readonly<Record<'named' | 'numbers' | 'rest', readonly number[]>>,
  values: readonly (readonly string[])[],
): number | null {
  const { named, numbers, rest } = found;
  const [first, ...more] = named;
  if (first !== undefined) {
    // Several columns that say the same, such as names and numbers of the classes, are one label.
    if (!more.every((other) => isSame(first, other, values))) return null;
    const isNumeric = (index: number): boolean =>
      values.every((cells) => /^\d*(?:\.0)?$/.test((cells[index] ?? '').trim()));
    return named.find((index) => !isNumeric(index)) ?? first;
  }
  if (numbers.length === 1) return numbers[0] ?? null;
  const [only, ...others] = rest;
  if (only === undefined || others.length > 0) return null;
  // A number of its own in each row counts the rows.
  const isCounter = values.length > 3 && new Set(values.map((cells) => cells[only])).size === values.length;
  return isCounter ? null : only;
}

/** Whether two columns part the rows in the same way. */
function isSame(left: number, right: number, values: readonly (readonly string[])[]): boolean {
  const pairs = new Set(values.map((cells) => JSON.stringify([cells[left], cells[right]])));
  const countOfValues = (index: number): number => new Set(values.map((cells) => cells[index])).size;
  return pairs.size === countOfValues(left) && pairs.size === countOfValues(right);
}

/** Whether a flag is set: 1, 1.0 or true. */
export function isOne(cell: string | undefined): boolean {
  return /^(?:1|true)/i.test((cell ?? '').trim());
}

/** Columns of zeros with a single one in each row, or of false and true; null where they are not. */
function oneHot(rest: readonly number[], values: readonly (readonly string[])[]): readonly number[] | null {
  const isFlag = (cell: string | undefined): boolean =>
    /^(?:[01](?:\.0*)?|true|false|)$/i.test((cell ?? '').trim());
  const flags = rest.filter((index) => values.every((cells) => isFlag(cells[index])));
  const isSingle = values.every((cells) => flags.filter((index) => isOne(cells[index])).length === 1);
  return flags.length >= 2 && isSingle ? flags : null;
}

/** `path,label[,split]` without headings, in any order that the cells tell. */
function withoutHeadings(found: {
  readonly path: number;
  readonly columns: readonly number[];
  readonly rows: readonly TableRow[];
  readonly count: number;
  readonly table: string;
  readonly all: readonly TableRow[];
}): TableColumns {
  const { path, columns, rows, count, table, all } = found;
  const values = rows.map(({ cells }) => cells);
  const bySplits = splitColumns(null, values, count).filter(({ index }) => index !== path);
  const others = columns.filter((index) => index !== path);
  const third: SplitColumn = { index: 2, heading: '', meaning: 'name' };
  const splits = others.length < 2 ? [] : bySplits.length > 0 ? bySplits.slice(0, 1) : [third];
  const labels = others.filter((index) => index !== splits[0]?.index);
  const [label] = labels;
  if (label === undefined || labels.length > 1) {
    throw unclear(
      table,
      null,
      all,
      label === undefined ? 'a second column with the label' : 'which column is the label',
    );
  }
  return { path, label, splits, rows, notices: [], warnings: [] };
}

function withoutLabels(table: string, heading: string, rows: number): DataError {
  return new DataError('label', {
    operation: `listing the images of ${table}`,
    expected: `labels in the column ${heading}`,
    received: `a blank cell in each of ${countOf(rows, 'row')}`,
    remedy: 'Write the labels. To classify images without labels: cohort predict RUN IMAGES.',
    path: table,
  });
}

function unclear(
  table: string,
  headings: readonly string[] | null,
  all: readonly TableRow[],
  expected: string,
): DataError {
  const first = (all[0]?.cells ?? []).map((cell) => cell.trim().slice(0, 60));
  const columns = countOf(Math.max(0, ...all.map(({ cells }) => cells.length)), 'column');
  return new DataError('format', {
    operation: `listing the images of ${table}`,
    expected: `headings that say ${expected}`,
    received: `${columns} ${headings === null ? 'without headings that are known, of which the first row is' : 'headed'} ${first.join(', ')}`,
    remedy: 'Name the columns path, label and, if wanted, split in the first row; other columns are ignored.',
    path: table,
  });
}
