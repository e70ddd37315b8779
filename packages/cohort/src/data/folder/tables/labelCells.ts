/** Reads labels as tables have them: those that stand for a missing value, and those that are lists written as text. */

/** Spellings that pandas reads as a missing value (`na_values` of `read_csv`), and what spreadsheets write for errors. */
const MISSING: ReadonlySet<string> = new Set([
  ...['', '#N/A', '#N/A N/A', '#NA', '-1.#IND', '-1.#QNAN', '-NaN', '-nan', '1.#IND', '1.#QNAN', '<NA>'],
  ...['N/A', 'NA', 'NULL', 'NaN', 'None', 'n/a', 'nan', 'null', 'NAN', 'NaT'],
  ...['#REF!', '#VALUE!', '#NAME?', '#DIV/0!', '#NULL!', '#NUM!'],
]);

/** What the cell of a label says. */
export type LabelCell =
  | { readonly kind: 'missing' }
  | { readonly kind: 'label'; readonly label: string; readonly isList: boolean }
  | { readonly kind: 'several'; readonly labels: readonly string[] };

/** Reads one cell, without blanks around it. */
export function readLabel(cell: string): LabelCell {
  if (MISSING.has(cell)) return { kind: 'missing' };
  const elements = listElements(cell);
  if (elements === null) return { kind: 'label', label: cell, isList: false };
  const [label = '', ...more] = elements;
  if (more.length > 0) return { kind: 'several', labels: elements };
  return MISSING.has(label) ? { kind: 'missing' } : { kind: 'label', label, isList: true };
}

const CLOSING: Readonly<Record<string, string>> = { '[': ']', '(': ')', '{': '}' };
const ELEMENT = /\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(-?\d+(?:\.\d*)?))\s*(?:,|(?=\s|$))/y;

/** Elements of a list of Python, NumPy or JSON, such as `['cat']`, `("a", "b")` or `[0 1]`; null for any other text. */
function listElements(text: string): string[] | null {
  const inner = /^(?:array|list|tuple|set|frozenset)\((.*)\)$/.exec(text)?.[1] ?? text;
  const opening = inner.at(0) ?? '';
  if (inner.length < 2 || CLOSING[opening] !== inner.at(-1)) return null;
  const content = inner.slice(1, -1).trim();
  if (content === '') return opening === '[' ? [] : null;
  const elements: string[] = [];
  for (let position = 0; position < content.length; position = ELEMENT.lastIndex) {
    ELEMENT.lastIndex = position;
    const [, single, double, number] = ELEMENT.exec(content) ?? [];
    const quoted = single ?? double;
    // A number in round or curly brackets is a name like any other.
    if (quoted === undefined && (number === undefined || opening !== '[')) return null;
    elements.push((quoted ?? number ?? '').replaceAll(/\\(.)/g, '$1').trim());
  }
  return elements;
}

/** `0.0` and `1.0` as `0` and `1`, which pandas writes for whole numbers of a column with gaps; null where labels are others. */
export function wholeNumbers(labels: readonly string[]): string[] | null {
  return labels.length > 0 && labels.every((label) => /^-?\d+\.0+$/.test(label))
    ? labels.map((label) => label.replace(/\.0+$/, ''))
    : null;
}
