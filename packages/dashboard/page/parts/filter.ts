/** The filter line of the table: words to be found in a row, and conditions such as `accuracy>85%`, `seed=2`, `state:failed`. */
import type { RunRow } from '../../src/api/types.ts';
import { numberOf, STATE_WORDS } from './format.ts';

const CONDITION = /^([\w./-]+)(>=|<=|!=|>|<|=|:)(.+)$/;

/** A test of rows. */
export type RowTest = (row: RunRow) => boolean;

/** The test that a line of text stands for: every word must be met. */
export function parseFilter(text: string): RowTest {
  const tests = text
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '')
    .map(wordTest);
  return (row) => tests.every((test) => test(row));
}

function wordTest(word: string): RowTest {
  if (word.startsWith('-') && word.length > 1) {
    const inner = wordTest(word.slice(1));
    return (row) => !inner(row);
  }
  const [, key, sign, wanted] = CONDITION.exec(word) ?? [];
  if (key === undefined || sign === undefined || wanted === undefined) return textTest(word);
  return (row) => meets(valueOf(row, key), sign, wanted);
}

function textTest(word: string): RowTest {
  const wanted = word.toLowerCase();
  return (row) =>
    [
      row.name,
      row.folder,
      row.method,
      row.dataset,
      row.note,
      STATE_WORDS[row.state],
      ...row.tags,
      ...row.networks,
    ].some((text) => text?.toLowerCase().includes(wanted) ?? false);
}

/** What a key of a condition means in a row. */
export function valueOf(row: RunRow, key: string): string | number | boolean | null | readonly string[] {
  switch (key) {
    case 'state':
      return STATE_WORDS[row.state];
    case 'tag':
      return row.tags;
    case 'name':
    case 'folder':
    case 'method':
    case 'dataset':
    case 'seed':
    case 'epochs':
    case 'epoch':
    case 'step':
    case 'seconds':
    case 'note':
    case 'networks':
      return row[key];
    default: {
      const result = row.results[key];
      if (result !== undefined) return numberOf(result.last);
      return row.settings[key] ?? null;
    }
  }
}

function meets(value: ReturnType<typeof valueOf>, sign: string, wanted: string): boolean {
  const text = wanted.toLowerCase();
  if (typeof value === 'number') {
    const bound = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
    switch (sign) {
      case '>':
        return value > bound;
      case '>=':
        return value >= bound;
      case '<':
        return value < bound;
      case '<=':
        return value <= bound;
      case '!=':
        return value !== bound;
      default:
        return value === bound;
    }
  }
  const texts = Array.isArray(value) ? value.map(String) : [String(value)];
  const isFound = texts.some((each) =>
    sign === '=' || sign === '!=' ? each.toLowerCase() === text : each.toLowerCase().includes(text),
  );
  return sign === '!=' ? !isFound : isFound;
}
