/** Reads tables of text: comma-, semicolon- or tab-separated with quotes (RFC 4180), as spreadsheets and scripts write them. */
import { DataError } from '../errors.ts';
import { readDataFile } from '../readFile.ts';

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
  const quoted = `"((?:[^"]|"")*)"`;
  const plain = `([^"${separator}\\r\\n][^${separator}\\r\\n]*)?`;
  const cell = new RegExp(`(?:${quoted}|${plain})(${separator}|\\r\\n|\\r|\\n|$)`, 'y');
  let cells: string[] = [];
  let line = 1;
  let rowLine = 1;
  while (cell.lastIndex < text.length) {
    const start = cell.lastIndex;
    const match = cell.exec(text);
    if (match === null) throw unreadable(path, line, text.slice(start, start + 40).split(/[\r\n]/)[0] ?? '');
    const [whole, inQuotes, bare, end] = match;
    cells.push(inQuotes?.replaceAll('""', '"') ?? bare ?? '');
    line += whole.match(/\r\n|\r|\n/g)?.length ?? 0;
    if (end === separator && cell.lastIndex < text.length) continue;
    if (cells.some((value) => value.trim() !== '')) rows.push({ line: rowLine, cells });
    cells = [];
    rowLine = line;
  }
  return rows;
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
