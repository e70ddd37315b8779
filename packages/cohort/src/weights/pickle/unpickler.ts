/**
 * Reads Python pickles of protocols 0 to 5 without Python and without executing anything.
 *
 * A pickle is a program for a stack machine, one of whose instructions calls any function of any installed package. This
 * machine knows a short list of harmless classes (`globals.ts`, `numpy.ts`, `torch.ts`), represents each as inert data, and
 * refuses every other by its name. Memory stays in proportion to the bytes of the pickle, whatever they say: nothing
 * is made before its bytes are seen to be there, and copies draw on a budget.
 */
import { ByteReader } from './byteReader.ts';
import { readConstant } from './constants.ts';
import { damagedPickle, PickleError, quotedText, type PickleErrorKind } from './errors.ts';
import { plainGlobals, setEntry, type AllowedGlobals, type ConstructorContext } from './globals.ts';
import { isInertName, onlyMakesObjects } from './inert.ts';
import { NumpyArray, NumpyDtype, numpyGlobals } from './numpy.ts';
import { codes, opcodeName } from './opcodes.ts';
import { remedyForGlobal } from './refusal.ts';
import { Stack } from './stack.ts';
import { assertPlainTree } from './structure.ts';
import { torchGlobals } from './torch.ts';
import {
  describePickleValue,
  InertObject,
  OpaqueObject,
  PickledGlobal,
  PickledObject,
  type PickleValue,
} from './values.ts';

/** Settings of {@link unpickle}. */
export interface UnpickleOptions {
  /** What is read, for messages: a path, or a path and an entry in it. */
  readonly source: string;
  /** Where in the bytes the pickle starts; 0 unless given. */
  readonly start?: number;
  /** Represents what is kept outside the pickle (`BINPERSID`); without it such pickles are refused. */
  readonly persistentLoad?: (id: PickleValue, context: ConstructorContext) => PickleValue;
  /**
   * Keeps objects of classes that are not known as inert stand-ins instead of refusing the file. What names functions that
   * run code is refused all the same. Nothing is run in either case.
   */
  readonly keepsInert?: boolean;
}

/** A pickle's value, and where it ended. */
export interface Unpickled {
  readonly value: PickleValue;
  /** The first byte behind the pickle: several may follow one another in a file. */
  readonly end: number;
  /** Classes whose objects were kept as inert stand-ins, each once. */
  readonly inert: readonly string[];
}

const allowedGlobals: AllowedGlobals = new Map([...plainGlobals, ...numpyGlobals, ...torchGlobals]);

/** Copies that even the smallest pickle may need. */
const smallestBudget = 1 << 16;

/**
 * Reads one pickle; what it may turn into is said at {@link PickleValue}.
 *
 * @throws {PickleError} `truncated`, `format`, `global` (with the offending name), `unsupported` or `limit`.
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): Unpickled {
  return new Unpickler(bytes, options).run();
}

class Unpickler implements ConstructorContext {
  readonly #reader: ByteReader;
  readonly #options: UnpickleOptions;
  readonly #stack = new Stack(this);
  readonly #inert = new Set<string>();
  #budget: number;

  constructor(bytes: Uint8Array, options: UnpickleOptions) {
    this.#reader = new ByteReader(bytes, options.start ?? 0, options.source);
    this.#options = options;
    this.#budget = smallestBudget + 2 * bytes.length;
  }

  run(): Unpickled {
    for (;;) {
      const code = this.#reader.byte();
      if (code === codes.STOP) break;
      this.#step(code);
    }
    if (this.#stack.marks > 0) throw this.malformed('every mark to be used before the end', 'one left');
    const value = this.#stack.pop();
    assertPlainTree(value, (received) => this.#error('limit', 'data that can be walked', received));
    return { value, end: this.#reader.position, inert: [...this.#inert] };
  }

  spend(units: number): void {
    this.#budget -= units;
    if (this.#budget >= 0) return;
    throw this.#error(
      'limit',
      'values in proportion to the size of the pickle',
      'one that copies over and over',
    );
  }

  malformed(expected: string, received: string): PickleError {
    return this.#error('format', expected, received);
  }

  unsupported(expected: string, received: string): PickleError {
    return this.#error('unsupported', expected, received, 'Convert it in Python and save it again.');
  }

  construct(global: PickledObject, args: PickleValue[]): PickleValue {
    const constructor = global instanceof PickledGlobal ? allowedGlobals.get(global.global) : undefined;
    if (constructor?.call === undefined) {
      const isKnown =
        constructor !== undefined || !(global instanceof PickledGlobal || global instanceof InertObject);
      if (this.#options.keepsInert === true && !isKnown) return this.#makeInert(global, args);
      throw this.malformed('a class or function to call', describePickleValue(global));
    }
    return constructor.call(args, this, global.global);
  }

  /** Stands for a call, or for the attribute that `getattr` would give: how methods and members of enumerations are kept. */
  #makeInert(callee: PickledObject, args: readonly PickleValue[], isClass = false): InertObject {
    const { global } = callee;
    if (global === 'builtins.getattr' || global === '__builtin__.getattr') {
      const [owner, attribute] = args;
      const isPlain = owner instanceof PickledGlobal || owner instanceof InertObject;
      const name = isPlain && typeof attribute === 'string' ? `${owner.global}.${attribute}` : null;
      if (name === null || !isInertName(name)) throw this.#refusal(name ?? global);
      this.#inert.add(name);
      return new InertObject(name);
    }
    // What getattr gave is never called: its name could be that of anything.
    const isCallable = callee instanceof PickledGlobal && (isClass || onlyMakesObjects(global));
    if (!isCallable) throw this.#refusal(global);
    const made =
      global === 'copyreg.__newobj__' && args[0] instanceof PickledObject ? args[0].global : global;
    this.#inert.add(made);
    return new InertObject(made);
  }

  #refusal(global: string): PickleError {
    return new PickleError('global', {
      source: this.#options.source,
      expected: 'tensors, arrays and plain data only',
      received: `${quotedText(global).slice(1, -1)} at byte ${this.#reader.position}, which was not run`,
      remedy: remedyForGlobal(global),
      global,
    });
  }

  #error(kind: PickleErrorKind, expected: string, received: string, remedy = damagedPickle): PickleError {
    const { source } = this.#options;
    const place = `${received} (before byte ${this.#reader.position})`;
    return new PickleError(kind, { source, expected, received: place, remedy });
  }

  #step(code: number): void {
    const reader = this.#reader;
    const stack = this.#stack;
    switch (code) {
      case codes.PROTO:
        this.#checkProtocol(reader.byte());
        break;
      case codes.FRAME:
        this.#checkFrame(reader.uint64());
        break;
      case codes.MARK:
        stack.mark();
        break;
      case codes.POP:
        stack.discard();
        break;
      case codes.POP_MARK:
        stack.popToMark();
        break;
      case codes.DUP:
        stack.push(stack.top());
        break;
      case codes.PUT:
        stack.memoize(reader.decimal());
        break;
      case codes.BINPUT:
        stack.memoize(reader.byte());
        break;
      case codes.LONG_BINPUT:
        stack.memoize(reader.uint32());
        break;
      case codes.MEMOIZE:
        stack.memoize();
        break;
      case codes.GET:
        stack.recall(reader.decimal());
        break;
      case codes.BINGET:
        stack.recall(reader.byte());
        break;
      case codes.LONG_BINGET:
        stack.recall(reader.uint32());
        break;
      case codes.GLOBAL:
        this.#pushGlobal(reader.line(), reader.line());
        break;
      case codes.STACK_GLOBAL:
        this.#stackGlobal();
        break;
      case codes.REDUCE:
        this.#call(this.#stack.popList());
        break;
      case codes.NEWOBJ:
        this.#newObject(this.#stack.popList());
        break;
      case codes.NEWOBJ_EX:
        this.#callWithKeywords();
        break;
      case codes.INST:
        this.#instance(reader.line(), reader.line());
        break;
      case codes.OBJ:
        this.#object();
        break;
      case codes.BUILD:
        this.#build(this.#stack.pop());
        break;
      case codes.PERSID:
        this.#persistent(reader.line());
        break;
      case codes.BINPERSID:
        this.#persistent(this.#stack.pop());
        break;
      default:
        this.#stepData(code);
    }
  }

  #stepData(code: number): void {
    const stack = this.#stack;
    switch (code) {
      case codes.APPEND:
        this.#append([stack.pop()]);
        break;
      case codes.APPENDS:
      case codes.ADDITEMS:
        this.#append(stack.popToMark());
        break;
      case codes.SETITEM:
        this.#setItems(stack.popMany(2));
        break;
      case codes.SETITEMS:
        this.#setItems(stack.popToMark());
        break;
      case codes.DICT: {
        const items = stack.popToMark();
        stack.push(new Map());
        this.#setItems(items);
        return;
      }
      case codes.LIST:
      case codes.TUPLE:
      case codes.FROZENSET:
        stack.push(stack.popToMark());
        break;
      case codes.TUPLE1:
        stack.push(stack.popMany(1));
        break;
      case codes.TUPLE2:
        stack.push(stack.popMany(2));
        break;
      case codes.TUPLE3:
        stack.push(stack.popMany(3));
        break;
      default: {
        const value = readConstant(code, this.#reader, this);
        if (value === undefined) throw this.#unknown(code);
        stack.push(value);
        return;
      }
    }
  }

  #unknown(code: number): PickleError {
    const name = opcodeName(code);
    if (name === undefined) {
      return this.malformed('an opcode of pickle', `byte 0x${code.toString(16).padStart(2, '0')}`);
    }
    return this.unsupported('a pickle that holds all of its data', `the opcode ${name}`);
  }

  #checkProtocol(protocol: number): void {
    if (protocol <= 5) return;
    throw this.#error('unsupported', 'pickle protocol 0 to 5', `protocol ${protocol}`);
  }

  #checkFrame(length: number): void {
    const left = this.#reader.length - this.#reader.position;
    if (length <= left) return;
    throw this.#error('truncated', `a frame of ${length} bytes`, `${left}`);
  }

  #append(items: readonly PickleValue[]): void {
    const list = this.#stack.top();
    // Items of an object that is a list too mean nothing here.
    if (list instanceof InertObject) return;
    if (!Array.isArray(list)) throw this.malformed('a list to append to', describePickleValue(list));
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly PickleValue[]): void {
    const top = this.#stack.top();
    const map = top instanceof InertObject ? top.entries : top;
    if (!(map instanceof Map)) throw this.malformed('a dictionary to fill', describePickleValue(map));
    if (items.length % 2 !== 0) throw this.malformed('pairs of key and value', `${items.length} values`);
    for (let index = 0; index < items.length; index += 2) {
      setEntry(map, items[index] ?? null, items[index + 1] ?? null);
    }
  }

  #pushGlobal(module: string, name: string): void {
    const global = `${module}.${name}`;
    const isKept = this.#options.keepsInert === true && isInertName(global);
    if (!isKept && !allowedGlobals.has(global)) throw this.#refusal(global);
    this.#stack.push(new PickledGlobal(global));
  }

  #stackGlobal(): void {
    const name = this.#stack.pop();
    const module = this.#stack.pop();
    if (typeof name !== 'string' || typeof module !== 'string') {
      throw this.malformed('the name of a class or function', 'another value');
    }
    this.#pushGlobal(module, name);
  }

  #call(args: PickleValue[]): void {
    const callee = this.#stack.pop();
    if (!(callee instanceof PickledObject)) {
      throw this.malformed('a class or function to call', describePickleValue(callee));
    }
    this.#stack.push(this.construct(callee, args));
  }

  /** `cls.__new__(cls, *args)`, which only a class has. */
  #newObject(args: PickleValue[]): void {
    const callee = this.#stack.top();
    const isUnknown = callee instanceof PickledGlobal && !allowedGlobals.has(callee.global);
    if (this.#options.keepsInert !== true || !isUnknown) {
      this.#call(args);
      return;
    }
    this.#stack.pop();
    this.#stack.push(this.#makeInert(callee, args, true));
  }

  #callWithKeywords(): void {
    const keywords = this.#stack.pop();
    const isInert = this.#options.keepsInert === true && keywords instanceof Map;
    if (isInert) {
      this.#newObject(this.#stack.popList());
      return;
    }
    if (!(keywords instanceof Map) || keywords.size > 0) {
      throw this.unsupported('arguments by position', 'arguments by keyword');
    }
    this.#call(this.#stack.popList());
  }

  #instance(module: string, name: string): void {
    const args = this.#stack.popToMark();
    this.#pushGlobal(module, name);
    this.#call(args);
  }

  #object(): void {
    const [callee, ...args] = this.#stack.popToMark();
    if (callee === undefined) throw this.malformed('a class to call', 'none');
    this.#stack.push(callee);
    this.#call(args);
  }

  #build(state: PickleValue): void {
    const object = this.#stack.top();
    if (object instanceof NumpyArray || object instanceof NumpyDtype) object.setState(state, this);
    else if (object instanceof OpaqueObject || object instanceof InertObject) object.state = state;
    // Dictionaries with attributes of their own: `_metadata` of a state dict says nothing about its tensors.
    else if (!(object instanceof Map))
      throw this.malformed('an object with a state', describePickleValue(object));
  }

  #persistent(id: PickleValue): void {
    const { persistentLoad } = this.#options;
    if (persistentLoad === undefined) {
      throw this.unsupported('a pickle that holds all of its data', 'a reference to data outside of it');
    }
    this.#stack.push(persistentLoad(id, this));
  }
}
