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

/** Names in a checkpoint of PyTorch; null where it has none. */
export function classNamesInPickle(root: PickleValue): string[] | null {
  const lookup = lookupIn(root);
  if (lookup === null) return null;
  const sections = sectionKeys.map((key) => lookupIn(lookup(key))).filter((section) => section !== null);
  return firstNames([lookup, ...sections]);
}

/** Names in the metadata of a safetensors file, where every value is text. */
export function classNamesInMetadata(metadata: Readonly<Record<string, string>>): string[] | null {
  const lookup: Lookup = (key) => parsed(metadata[key]);
  const own = namesOfList(lookup(ownKey));
  const sections = sectionKeys.map((key) => lookupIn(lookup(key))).filter((section) => section !== null);
  return own ?? firstNames([lookup, ...sections]);
}

/** Names in the `config.json` that transformers and timm keep next to `model.safetensors` or `pytorch_model.bin`. */
export function classNamesBeside(path: string): string[] | null {
  if (!/^(model|pytorch_model)\b.*\.(safetensors|bin)$/.test(basename(path))) return null;
  const config = join(dirname(path), 'config.json');
  try {
    if (statSync(config).size > largestConfig) return null;
    const lookup = lookupIn(parsed(readFileSync(config, 'utf8')));
    if (lookup === null) return null;
    const sections = sectionKeys.map((key) => lookupIn(lookup(key))).filter((section) => section !== null);
    return firstNames([lookup, ...sections]);
  } catch {
    // Without names, counts decide.
    return null;
  }
}

function firstNames(lookups: readonly Lookup[]): string[] | null {
  for (const lookup of lookups) {
    for (const key of indexKeys) {
      const names = namesOfIndices(lookup(key));
      if (names !== null) return names;
    }
    for (const key of nameKeys) {
      const value = lookup(key);
      const names = namesOfList(value) ?? namesOfRows(value);
      if (names !== null) return names;
    }
  }
  return null;
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

/** `{ cat: 0, dog: 1 }`. */
function namesOfIndices(value: unknown): string[] | null {
  return inOrder(entriesOf(value).map(([name, index]) => [index, name]));
}

/** `{ 0: 'cat', 1: 'dog' }`. */
function namesOfRows(value: unknown): string[] | null {
  return inOrder(entriesOf(value));
}

function namesOfList(value: unknown): string[] | null {
  return Array.isArray(value) ? inOrder(value.map((name: unknown, index) => [index, name])) : null;
}

/** Names by their rows, if every row from 0 on has one name, no two the same. `LABEL_0` is no name. */
function inOrder(entries: readonly (readonly [unknown, unknown])[]): string[] | null {
  const names = new Map<number, string>();
  if (entries.length < 2 || entries.length > mostClasses) return null;
  for (const [key, name] of entries) {
    const row = typeof key === 'string' && /^\d{1,6}$/.test(key) ? Number(key) : key;
    if (typeof row !== 'number' || typeof name !== 'string' || names.has(row)) return null;
    names.set(row, name);
  }
  const ordered = Array.from({ length: entries.length }, (_, row) => names.get(row));
  const all = ordered.filter((name) => name !== undefined);
  if (all.length < ordered.length || new Set(all).size < all.length) return null;
  return all.every((name) => /^LABEL_\d+$/.test(name)) ? null : all;
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
