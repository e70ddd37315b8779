/** Tables as CSV (RFC 4180), as spreadsheets and programs read it. */

/** A cell; null and undefined are empty. */
export type CsvCell = string | number | null | undefined;

/** One line with its end. */
export function csvLine(cells: readonly CsvCell[]): string {
  return `${cells.map(field).join(',')}\r\n`;
}

/** A whole table. */
export function csvText(rows: readonly (readonly CsvCell[])[]): string {
  return rows.map(csvLine).join('');
}

function field(cell: CsvCell): string {
  const text = cell == null ? '' : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
