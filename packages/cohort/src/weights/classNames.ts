/** Finds the names of the classes that a file of weights says it knows, in the order of its classifier's rows. */
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { InertObject, OpaqueObject, type PickleValue } from './pickle/index.ts';

/** Key of a safetensors file's metadata that we write: the names of its classes, as a JSON list. */
const ownKey = 'cohort.classNames';
/** Lists of names, by the words of others. */
const listKeys = [
  'class_names',
  'classes',
  'classnames',
  'CLASSES',
  'categories',
  'label_names',
  'labels',
  'names',
];
/** From a name to its row. */
const indexKeys = ['class_to_idx', 'label2id', 'class_to_index', 'classes_to_idx'];
/** From a row to its name. */
const nameKeys = ['idx_to_class', 'id2label', 'index_to_class', 'idx_to_label', ...listKeys];
/** Where they lie further inside. */
const sectionKeys = [
  'meta',
  'metadata',
  'config',
  'cfg',
  'args',
  'hparams',
  'hyper_parameters',
  'pretrained_cfg',
];

const mostClasses = 100_000;
/** A configuration of a model is small. */
const largestConfig = 8 * 2 ** 20;

/** Looks a key up in whatever a file's metadata are. */
type Lookup = (key: string) => unknown;

/** Class names that a file states, or why what it states cannot be used. */
export interface ClassNames {
  /** In the order of the classifier's rows; null where that order is open. */
  readonly names: readonly string[] | null;
  /** How they were read, in words, where that is not plain: rows counted from 1. Null elsewhere. */
  readonly note: string | null;
  /** What the file states, in words, where it contradicts itself or leaves rows out; null elsewhere. */
  readonly doubt: string | null;
}

/** Names in a checkpoint of PyTorch; null where it has none. */
export function classNamesInPickle(root: PickleValue): ClassNames | null {
  return namesIn(lookupIn(root));
}

/** Names in the metadata of a safetensors file, where every value is text. */
export function classNamesInMetadata(metadata: Readonly<Record<string, string>>): ClassNames | null {
  const lookup: Lookup = (key) => parsed(metadata[key]);
  const own = rowsOf(lookup(ownKey), 'names');
  if (own?.first === 0) return { names: own.names, note: null, doubt: null };
  return namesIn(lookup);
}

/** Names in the `config.json` that transformers and timm keep next to `model.safetensors` or `pytorch_model.bin`. */
export function classNamesBeside(path: string): ClassNames | null {
  if (!/^(model|pytorch_model)\b.*\.(safetensors|bin)$/.test(basename(path))) return null;
  const config = join(dirname(path), 'config.json');
  try {
    if (statSync(config).size > largestConfig) return null;
    return namesIn(lookupIn(parsed(readFileSync(config, 'utf8'))));
  } catch {
    // Without names, counts decide.
    return null;
  }
}

/** Names with their rows under one key. */
interface Rows {
  readonly key: string;
  /** In the order of their rows. */
  readonly names: readonly string[];
  readonly rows: readonly number[];
  /** The row of the first name where the others follow one by one from it; null where rows are left out between them. */
  readonly first: number | null;
}

function namesIn(lookup: Lookup | null): ClassNames | null {
  if (lookup === null) return null;
  const sections = sectionKeys.map((key) => lookupIn(lookup(key))).filter((section) => section !== null);
  const found = [lookup, ...sections].flatMap((each) => [
    ...indexKeys.map((key) => keyed(key, rowsOf(each(key), 'indices'))),
    ...nameKeys.map((key) => keyed(key, rowsOf(each(key), 'names'))),
  ]);
  const all = found.filter((rows) => rows !== null);
  // Counted from another row than 0 or 1, or with gaps, they are no list of all rows.
  const whole = all.filter(({ first }) => first === 0 || first === 1);
  const best = whole.find(({ first }) => first === 0) ?? whole[0];
  if (best === undefined) {
    const [partial] = all;
    return partial === undefined
      ? null
      : { names: null, note: null, doubt: `${partial.key} with ${shownRows(partial)}` };
  }
  const other = whole.find((rows) => isReordered(rows, best));
  if (other !== undefined) {
    const [one, two] = [best, other].sort((left, right) => all.indexOf(left) - all.indexOf(right));
    return { names: null, note: null, doubt: differenceOf(one ?? best, two ?? other) };
  }
  const note =
    best.first === 1 ? `${best.key} counts from 1: ${best.names[0] ?? ''} was taken for the first row` : null;
  return { names: best.names, note, doubt: null };
}

/** Whether two lists have the same names in another order. */
function isReordered(left: Rows, right: Rows): boolean {
  const order = rowsByName(left.names, right.names);
  return order?.some((row, index) => row !== index) === true;
}

function differenceOf(left: Rows, right: Rows): string {
  const row = left.names.findIndex(
    (name, index) => name.normalize('NFC') !== right.names[index]?.normalize('NFC'),
  );
  return `${left.key} with ${left.names[row] ?? ''} in row ${row}, and ${right.key} with ${right.names[row] ?? ''} there`;
}

function shownRows({ names, rows }: Rows): string {
  const shown = names.slice(0, 3).map((name, index) => `${name} in row ${rows[index] ?? 0}`);
  return `${shown.join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}, which leaves rows out`;
}

function keyed(key: string, rows: Omit<Rows, 'key'> | null): Rows | null {
  return rows === null ? null : { ...rows, key };
}

function lookupIn(value: unknown): Lookup | null {
  if (value instanceof Map) return (key) => (value as Map<unknown, unknown>).get(key);
  if (value instanceof InertObject) {
    return (key) => value.entries.get(key) ?? (value.state instanceof Map ? value.state.get(key) : undefined);
  }
  if (value instanceof OpaqueObject) return lookupIn(value.state);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return (key) => (Object.hasOwn(value, key) ? (Reflect.get(value, key) as unknown) : undefined);
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Some write a plain list: `cat,dog`.
    return text.includes(',') ? text.split(',').map((name) => name.trim()) : undefined;
  }
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (value instanceof Map) return [...(value as Map<unknown, unknown>)];
  if (value instanceof InertObject) return [...value.entries];
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isRecord && !(value instanceof Uint8Array) ? Object.entries(value) : [];
}

/**
 * Names by their rows, if every name has a row of its own: from `{ cat: 0, dog: 1 }` (`indices`), or from a list or
 * `{ 0: 'cat', 1: 'dog' }` (`names`). `LABEL_0` is no name.
 */
function rowsOf(value: unknown, kind: 'indices' | 'names'): Omit<Rows, 'key'> | null {
  const entries: [unknown, unknown][] =
    kind === 'names' && Array.isArray(value)
      ? value.map((name: unknown, index) => [index, name])
      : entriesOf(value).map(([key, item]) => (kind === 'names' ? [key, item] : [item, key]));
  if (entries.length < 2 || entries.length > mostClasses) return null;
  const byRow = new Map<number, string>();
  for (const [key, name] of entries) {
    const row = typeof key === 'string' && /^\d{1,6}$/.test(key) ? Number(key) : key;
    if (typeof row !== 'number' || !Number.isInteger(row) || row < 0) return null;
    if (typeof name !== 'string' || byRow.has(row)) return null;
    byRow.set(row, name);
  }
  const rows = [...byRow.keys()].sort((left, right) => left - right);
  const names = rows.map((row) => byRow.get(row) ?? '');
  if (new Set(names).size < names.length || names.every((name) => /^LABEL_\d+$/.test(name))) return null;
  const first = rows[0] ?? 0;
  return { names, rows, first: rows.every((row, index) => row === first + index) ? first : null };
}

/**
 * For each class wanted, the row of the file that is called so; null where the names are not the same ones. Names that
 * differ only in how their letters are composed are the same.
 */
export function rowsByName(found: readonly string[], wanted: readonly string[]): number[] | null {
  if (found.length !== wanted.length) return null;
  const rows = new Map(found.map((name, row) => [name.normalize('NFC'), row]));
  const order = wanted.map((name) => rows.get(name.normalize('NFC')) ?? -1);
  return order.includes(-1) || new Set(order).size < order.length ? null : order;
}
