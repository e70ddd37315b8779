/** What a pickle turns into: plain JavaScript values, and inert stand-ins for the few Python objects that are data. */

/**
 * A value of a pickle.
 *
 * - `None`, booleans and text are themselves; whole numbers are `number` where safe, else `bigint`; floats are `number`.
 * - `bytes` and `bytearray` are `Uint8Array`; a `str` of Python 2 is text of one character a byte (Latin-1).
 * - Lists, tuples, sets and `torch.Size` are arrays; dictionaries of any kind are `Map`s, whose `bytes` keys became Latin-1
 *   text, so that `data` and `b'data'` are the same key.
 * - Everything else is a {@link PickledObject}.
 *
 * A value may occur in several places (it is then one object), but never inside itself.
 */
export type PickleValue =
  null | boolean | number | bigint | string | Uint8Array | PickleValue[] | PickleMap | PickledObject;

/** A pickled dictionary. */
export type PickleMap = Map<PickleValue, PickleValue>;

/** A Python object that is represented, not made: its class or function, and what it was given. */
export class PickledObject {
  /** Full name of its class or of the function that makes it: `argparse.Namespace`. */
  readonly global: string;

  constructor(global: string) {
    this.global = global;
  }

  /** The values inside, for whoever walks a pickle. */
  get parts(): readonly PickleValue[] {
    return [];
  }
}

/** A class or function itself, as a value: `torch.float16`. */
export class PickledGlobal extends PickledObject {}

/** An object of a class that is harmless and whose meaning does not matter: `argparse.Namespace`. */
export class OpaqueObject extends PickledObject {
  readonly args: PickleValue[];
  /** What `BUILD` set: the attributes; null before. */
  state: PickleValue = null;

  constructor(global: string, args: PickleValue[]) {
    super(global);
    this.args = args;
  }

  override get parts(): readonly PickleValue[] {
    return [this.args, this.state];
  }
}

/**
 * An object of a class that is not known here, kept so that the rest of a file can be read. Its parts are not counted as
 * the tree's: they may contain the object itself, as modules and optimizers do.
 */
export class InertObject extends PickledObject {
  /** What `BUILD` set: the attributes; null before. */
  state: PickleValue = null;
  /** Entries of an object that is a dictionary too, such as a configuration. */
  readonly entries: PickleMap = new Map();
}

/** The value in a pickled dictionary under a text key, or undefined; undefined too where `value` is no dictionary. */
export function entryOf(value: PickleValue | undefined, key: string): PickleValue | undefined {
  return value instanceof Map ? value.get(key) : undefined;
}

/** What a value is, for messages: `a list of 3`, `an argparse.Namespace`. */
export function describePickleValue(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (typeof value === 'string') return `text of ${value.length} characters`;
  if (typeof value === 'object') {
    if (value instanceof Uint8Array) return `${value.length} bytes`;
    if (Array.isArray(value)) return `a list of ${value.length}`;
    if (value instanceof Map) return `a dictionary of ${value.size}`;
    return `an object of ${value.global}`;
  }
  return `${typeof value} ${String(value)}`;
}
