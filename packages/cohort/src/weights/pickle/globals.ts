/**
 * The classes and functions that a pickle may name: a short list of those that stand for plain data. What each one "does" is
 * written here in TypeScript; nothing of Python's is ever looked up.
 */
import {
  describePickleValue,
  OpaqueObject,
  PickledObject,
  type PickleMap,
  type PickleValue,
} from './values.ts';

/** Makes the error of a pickle that no Python would write. */
export interface Refuses {
  malformed(expected: string, received: string): Error;
}

/** What a constructor may ask of the unpickler. */
export interface ConstructorContext extends Refuses {
  /** Accounts for work beyond the pickle's own bytes, such as a copy. @throws {PickleError} `limit` */
  spend(units: number): void;
  /** The error for what is intact but not supported. */
  unsupported(expected: string, received: string): Error;
  /** Calls another global of the list with arguments, for those that wrap one. */
  construct(global: PickledObject, args: PickleValue[]): PickleValue;
}

/** How a class or function of the list is represented. */
export interface PickleConstructor {
  /** Represents a call; left out for values that are never called, such as `torch.float16`. */
  readonly call?: (args: PickleValue[], context: ConstructorContext, global: string) => PickleValue;
}

/** Full names (`module.name`, as pickled) and how each is represented. */
export type AllowedGlobals = ReadonlyMap<string, PickleConstructor>;

/** Objects of these classes are data; what they hold can be looked at, and means nothing here. */
const opaqueClasses = [
  'argparse.Namespace',
  'types.SimpleNamespace',
  'datetime.datetime',
  'datetime.date',
  'datetime.timedelta',
  'datetime.timezone',
  'pathlib.PosixPath',
  'pathlib.PurePosixPath',
  'pathlib.WindowsPath',
  'pathlib.PureWindowsPath',
  'pathlib.Path',
  'pathlib._local.PosixPath',
  'pathlib._local.WindowsPath',
  'uuid.UUID',
  'decimal.Decimal',
  'fractions.Fraction',
];

const opaque: PickleConstructor = {
  call: (args, _context, global) => new OpaqueObject(global, args),
};

/** `set([..])`, `list((..))`: a copy of a list. */
const listLike: PickleConstructor = {
  call: ([items = []], context) => {
    if (!Array.isArray(items)) throw context.malformed('a list', 'another value');
    context.spend(items.length);
    return [...items];
  },
};

/** `OrderedDict()`; `OrderedDict([[key, value], ..])`, as Python 2 wrote it; `Counter({..})`. */
const dictionary: PickleConstructor = {
  call: ([pairs = []], context) => {
    const map: PickleMap = new Map();
    if (pairs instanceof Map) {
      context.spend(pairs.size);
      for (const [key, value] of pairs) setEntry(map, key, value);
      return map;
    }
    if (!Array.isArray(pairs)) throw context.malformed('pairs of key and value', describePickleValue(pairs));
    context.spend(pairs.length);
    for (const pair of pairs) {
      const [key, value] = Array.isArray(pair) && pair.length === 2 ? pair : [];
      if (key === undefined || value === undefined) {
        throw context.malformed('pairs of key and value', describePickleValue(pair));
      }
      setEntry(map, key, value);
    }
    return map;
  },
};

/** `defaultdict(factory)`: the factory is not needed to read. */
const defaultDictionary: PickleConstructor = { call: () => new Map() };

/** `_codecs.encode(text, 'latin1')`: how protocol 2 of Python 3 writes bytes. */
const encode: PickleConstructor = {
  call: ([text, encoding = 'utf-8'], context) => {
    const name = typeof encoding === 'string' ? encoding.toLowerCase().replaceAll(/[-_]/g, '') : '';
    if (typeof text !== 'string' || !['latin1', 'iso88591', 'ascii', 'utf8'].includes(name)) {
      throw context.malformed('text to encode in latin1, ascii or utf-8', 'other arguments');
    }
    context.spend(text.length);
    return new Uint8Array(Buffer.from(text, name === 'utf8' ? 'utf8' : 'latin1'));
  },
};

/** `bytes()`, `bytearray(b'..')` and `bytearray('..', 'latin-1')`. */
const byteArray: PickleConstructor = {
  call: (args, context, global) => {
    const [value] = args;
    if (value === undefined) return new Uint8Array(0);
    if (value instanceof Uint8Array) return value;
    const result = typeof value === 'string' ? encode.call?.(args, context, global) : undefined;
    if (result === undefined) throw context.malformed('bytes or text', 'another value');
    return result;
  },
};

/** `copyreg._reconstructor(class, object, None)`: how protocols 0 and 1 write an object of a class. */
const reconstructor: PickleConstructor = {
  call: ([type], context) => {
    if (!(type instanceof PickledObject)) throw context.malformed('a class', 'another value');
    return context.construct(type, []);
  },
};

/** A type as a value (`defaultdict(list)`) that is also called in some pickles. */
function builtIns(constructors: Readonly<Record<string, PickleConstructor>>): [string, PickleConstructor][] {
  return Object.entries(constructors).flatMap(([name, constructor]) => [
    [`builtins.${name}`, constructor],
    [`__builtin__.${name}`, constructor],
  ]);
}

/** The plain data of Python's standard library. */
export const plainGlobals: AllowedGlobals = new Map<string, PickleConstructor>([
  ...opaqueClasses.map((name): [string, PickleConstructor] => [name, opaque]),
  ...builtIns({
    set: listLike,
    frozenset: listLike,
    list: listLike,
    tuple: listLike,
    dict: dictionary,
    bytes: byteArray,
    bytearray: byteArray,
    complex: opaque,
    slice: opaque,
    range: opaque,
    xrange: opaque,
    object: {},
    int: {},
    float: {},
    str: {},
    bool: {},
  }),
  ['collections.OrderedDict', dictionary],
  ['collections.Counter', dictionary],
  ['collections.defaultdict', defaultDictionary],
  ['collections.deque', listLike],
  ['_codecs.encode', encode],
  ['copyreg._reconstructor', reconstructor],
  ['copy_reg._reconstructor', reconstructor],
]);

/** Longer bytes than names ever are stay as they are: making text of them for every entry would cost a hostile file nothing. */
const longestNameBytes = 1024;

/** Sets an entry of a dictionary; keys that are bytes become text, so that they can be looked up. */
export function setEntry(map: PickleMap, key: PickleValue, value: PickleValue): void {
  const isName = key instanceof Uint8Array && key.length <= longestNameBytes;
  map.set(isName ? Buffer.from(key).toString('latin1') : key, value);
}
