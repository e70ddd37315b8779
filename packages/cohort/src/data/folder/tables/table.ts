/** Reads tables of text as spreadsheets and scripts write them: separated values with quotes (RFC 4180), or JSON Lines. */
import { DataError } from '../../errors.ts';
import { exists } from '../../places.ts';
import { readDataFile } from '../../loading/readFile.ts';
import { signatureOf, type FileSignature } from '../imageSignature.ts';
import { nearestPath, SPREADSHEET_REMEDY } from '../sourceHints.ts';

const MAXIMUM_BYTES = 512 * 1024 * 1024;

/** One row with the line that it begins on, from 1. */
export interface TableRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/** What to do with files of other kinds that are named like tables. */
const OTHER_FILES: Readonly<Partial<Record<FileSignature['kind'], string>>> = {
  pointer: 'Get the file: git lfs pull.',
  spreadsheet: SPREADSHEET_REMEDY,
  archive: 'Unpack it first.',
  image: 'Give a table of images, or the folder around the folders of the classes.',
  other: SPREADSHEET_REMEDY,
};

/**
 * Reads a text file in UTF-8, or in UTF-16 with its mark.
 * @throws {DataError} `missing`, `unreadable`, `empty`, `tooLarge`, or `format` for other bytes.
 */
export async function readText(path: string, operation: string): Promise<string> {
  const bytes = await readDataFile(path, {
    operation,
    maximumBytes: MAXIMUM_BYTES,
    remedyWhenMissing: (await exists(path))
      ? 'Check the path.'
      : ((await nearestPath(path)) ?? 'Check the path.'),
  });
  const signature = signatureOf(bytes);
  const remedy = signature === null ? undefined : OTHER_FILES[signature.kind];
  if (signature !== null && remedy !== undefined) {
    throw new DataError('format', {
      operation: `${operation} ${path}`,
      expected: 'text in UTF-8',
      received: signature.name,
      remedy,
      path,
    });
  }
  try {
    // The decoder also takes the mark away that Windows puts in front.
    return new TextDecoder(encodingOf(bytes), { fatal: true }).decode(bytes);
  } catch (error) {
    throw new DataError('format', {
      operation: `${operation} ${path}`,
      expected: 'text in UTF-8',
      received: 'other bytes',
      remedy: 'Save it as UTF-8 (in a spreadsheet: "CSV UTF-8").',
      path,
      cause: error,
    });
  }
}

/** UTF-16 by its mark, or without one by the zeros next to Latin letters; else UTF-8. */
function encodingOf(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first !== 0 && second === 0) return 'utf-16le';
  return first === 0 && second !== 0 ? 'utf-16be' : 'utf-8';
}

/**
 * The rows of a table that are not blank. The separator is the one that parts all first lines into as many cells, or that
 * a line such as `sep=;` names. Of JSON Lines (`.jsonl`, `.ndjson`) the keys become a first row.
 * @throws {DataError} `format` for a quote that is never closed, or a line that is no JSON object.
 */
export async function readTable(path: string): Promise<TableRow[]> {
  const text = await readText(path, 'reading table');
  if (/\.(?:jsonl|ndjson)$/i.test(path)) return readJsonLines(text, path);
  const named = /^sep=(.)\r?\n/i.exec(text);
  if (named !== null) return parseRows(text, { separator: named[1] ?? ',', path, start: named[0].length });
  return parseRows(text, { separator: separatorOf(text), path, start: 0 });
}

const SEPARATORS = ['\t', ';', ',', '|'];
/** Lines that the separator is found by. */
const SAMPLE_LINES = 50;
const SAMPLE_CHARACTERS = 200_000;

/** The separator of a table, from how its first lines can be parted; a blank where nothing else parts them. */
function separatorOf(text: string): string {
  const isCut = text.length > SAMPLE_CHARACTERS;
  const lines = text
    .slice(0, SAMPLE_CHARACTERS)
    .replaceAll(/"(?:[^"]|"")*"/g, '')
    .split(/\r\n|\r|\n/)
    .slice(0, isCut ? -1 : undefined)
    .filter((line) => /[^ ]/.test(line))
    .slice(0, SAMPLE_LINES);
  const counts = SEPARATORS.map((separator) => lines.map((line) => line.split(separator).length - 1));
  const isSteady = (each: readonly number[]): boolean =>
    (each[0] ?? 0) > 0 && each.every((count) => count === each[0]);
  // Semicolons count before commas, which may be those of numbers.
  const steady = counts.findIndex(isSteady);
  const common = counts.findIndex((each) => each.filter((count) => count > 0).length * 2 > lines.length);
  const best = steady >= 0 ? steady : common;
  if (best >= 0) return SEPARATORS[best] ?? ',';
  return lines.length > 0 && lines.every((line) => /^\S+ +\S/.test(line)) ? ' ' : ',';
}

function parseRows(
  text: string,
  { separator, path, start: begin }: { separator: string; path: string; start: number },
): TableRow[] {
  const rows: TableRow[] = [];
  const escaped = separator.replace(/[|^\\\]-]/, '\\$&');
  const plain = new RegExp(`(?:[^"${escaped}\\r\\n][^${escaped}\\r\\n]*)?`, 'y');
  // Blanks between two cells are one separator.
  const between = separator === ' ' ? ' +' : `[${escaped}]`;
  const ending = new RegExp(`${between}|\\r\\n|\\r|\\n|$`, 'y');
  let cells: string[] = [];
  let line = begin > 0 ? 2 : 1;
  let rowLine = line;
  let position = begin;
  while (position < text.length) {
    const start = position;
    const isQuoted = text[start] === '"';
    const end = isQuoted ? endOfQuotes(text, start) : endOf(plain, text, start);
    const next = end === null ? null : endOf(ending, text, end);
    if (end === null || next === null) {
      throw unreadable(path, line, text.slice(start, start + 40).split(/[\r\n]/)[0] ?? '');
    }
    cells.push(
      isQuoted ? text.slice(start + 1, end - 1).replaceAll('""', '"') : withoutQuotes(text.slice(start, end)),
    );
    line += text.slice(start, next).match(/\r\n|\r|\n/g)?.length ?? 0;
    position = next;
    if (text.slice(end, next).startsWith(separator) && next < text.length) continue;
    if (cells.some((value) => value.trim() !== '')) rows.push({ line: rowLine, cells });
    cells = [];
    rowLine = line;
  }
  return rows;
}

/** A cell without quotes of other kinds: single ones, and double ones after a blank, as in `a.jpg, "cat"`. */
function withoutQuotes(cell: string): string {
  const [, , inner] = /^\s*(["'])([^"']*)\1\s*$/.exec(cell) ?? [];
  return inner ?? cell;
}

/** Objects of text and numbers, one a line, as rows below a first one of all their keys. */
function readJsonLines(text: string, path: string): TableRow[] {
  const objects = text.split(/\r?\n/).flatMap((content, index) => {
    if (content.trim() === '') return [];
    const line = index + 1;
    const parsed = parseJson(content);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
      return [{ line, entries: new Map(Object.entries(parsed)) }];
    }
    throw new DataError('format', {
      operation: `reading table ${path}, line ${line}`,
      expected: 'a JSON object such as {"file_name": "cat/0.jpg", "label": "cat"}',
      received: JSON.stringify(content.slice(0, 40)),
      remedy: 'Write one object per line.',
      path,
    });
  });
  const keys = [...new Set(objects.flatMap(({ entries }) => [...entries.keys()]))];
  const cellOf = (value: unknown): string =>
    value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  return [
    { line: 1, cells: keys },
    ...objects.map(({ line, entries }) => ({ line, cells: keys.map((key) => cellOf(entries.get(key))) })),
  ];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Where a match that begins at `start` ends; null where there is none. */
function endOf(pattern: RegExp, text: string, start: number): number | null {
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : null;
}

/** Behind the quote that closes the one at `start`; null where none does. Searched, since a long match overflows V8's stack. */
function endOfQuotes(text: string, start: number): number | null {
  for (let from = start + 1; ; from += 2) {
    from = text.indexOf('"', from);
    if (from < 0) return null;
    if (text[from + 1] !== '"') return from + 1;
  }
}

function unreadable(path: string, line: number, came: string): DataError {
  return new DataError('format', {
    operation: `reading table ${path}, line ${line}`,
    expected: 'cells that are plain or wholly in double quotes',
    received: JSON.stringify(came),
    remedy: 'Close the quote, and write a quote inside of a quoted cell twice.',
    path,
  });
}
