/** Reads tables of text: comma-, semicolon- or tab-separated with quotes (RFC 4180), as spreadsheets and scripts write them. */
import { DataError } from '../errors.ts';
import { readDataFile } from '../loading/readFile.ts';

const MAXIMUM_BYTES = 512 * 1024 * 1024;

/** One row with the line that it begins on, from 1. */
export interface TableRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/** Reads a text file in UTF-8. @throws {DataError} `missing`, `unreadable`, `empty`, `tooLarge`, or `format` for other bytes. */
export async function readText(path: string, operation: string): Promise<string> {
  const bytes = await readDataFile(path, {
    operation,
    maximumBytes: MAXIMUM_BYTES,
    remedyWhenMissing: 'Check the path.',
  });
  try {
    // The decoder also takes the mark away that Windows puts in front.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
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

/** The rows of a table that are not blank. @throws {DataError} `format` for a quote that is never closed. */
export async function readTable(path: string): Promise<TableRow[]> {
  const text = await readText(path, 'reading table');
  const firstLine = /^[^\r\n]*/.exec(text)?.[0] ?? '';
  const separator = [',', '\t', ';'].find((candidate) => firstLine.includes(candidate)) ?? ',';
  const rows: TableRow[] = [];
  const plain = new RegExp(`(?:[^"${separator}\\r\\n][^${separator}\\r\\n]*)?`, 'y');
  const ending = new RegExp(`${separator}|\\r\\n|\\r|\\n|$`, 'y');
  let cells: string[] = [];
  let line = 1;
  let rowLine = 1;
  let position = 0;
  while (position < text.length) {
    const start = position;
    const isQuoted = text[start] === '"';
    const end = isQuoted ? endOfQuotes(text, start) : endOf(plain, text, start);
    const next = end === null ? null : endOf(ending, text, end);
    if (end === null || next === null) {
      throw unreadable(path, line, text.slice(start, start + 40).split(/[\r\n]/)[0] ?? '');
    }
    cells.push(isQuoted ? text.slice(start + 1, end - 1).replaceAll('""', '"') : text.slice(start, end));
    line += text.slice(start, next).match(/\r\n|\r|\n/g)?.length ?? 0;
    position = next;
    if (text.slice(end, next) === separator && next < text.length) continue;
    if (cells.some((value) => value.trim() !== '')) rows.push({ line: rowLine, cells });
    cells = [];
    rowLine = line;
  }
  return rows;
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
