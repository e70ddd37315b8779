/** Encodes operator arguments into the buffer that the addon reads, and its results back into JavaScript values. */
import { ArgumentError, DisposedTensorError } from './errors.ts';
import { checked, native, whenOpened } from './native.ts';

/** Kinds of value in the buffer; the same numbers stand in native/binding/callBuffer.h. */
const tags = {
  none: 0,
  integer: 1,
  double: 2,
  boolean: 3,
  tensor: 4,
  list: 5,
  string: 6,
  generator: 7,
  bigInteger: 8,
  default: 9,
  /** A result that is one of the tensors the call was given. */
  argument: 10,
} as const;

/** A value that lives in the engine: a tensor or a generator. */
export abstract class EngineValue {
  /** The addon's handle; -1 once released. */
  handle = -1;
  abstract readonly engineKind: 'tensor' | 'generator';
}

/** What operators take. */
export type OperatorArgument =
  | EngineValue
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined
  | readonly OperatorArgument[]
  | KeywordArguments;

/** Arguments by name, e.g. `{ keepdim: true }`. */
export interface KeywordArguments {
  readonly [keyword: string]: OperatorArgument;
}

/** What operators return, before it is given its exact type. */
export type OperatorResult = EngineValue | number | bigint | boolean | string | null | OperatorResult[];

export let buffer = new Float64Array(1 << 15);
whenOpened(() => {
  checked('setBuffer', native.setBuffer(buffer));
});

/** Makes room for at least `length` numbers; the contents are lost. */
export function reserveBuffer(length: number): void {
  if (length <= buffer.length) return;
  const larger = new Float64Array(Math.max(length, buffer.length * 2));
  checked('setBuffer', native.setBuffer(larger));
  buffer = larger;
}

const stringIds = new Map<string, number>();

function internedId(text: string): number {
  let id = stringIds.get(text);
  if (id === undefined) {
    id = native.intern(text);
    stringIds.set(text, id);
  }
  return id;
}

const keywordIds = new Map<string, number>();

/** `memoryFormat` in TypeScript is `memory_format` in the schema. */
function keywordId(name: string): number {
  let id = keywordIds.get(name);
  if (id === undefined) {
    id = internedId(name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    keywordIds.set(name, id);
  }
  return id;
}

/** Whether `value` is a plain object; a Date or a typed array is a mistake, not a set of keyword arguments. */
function isKeywords(value: OperatorArgument): value is KeywordArguments {
  if (typeof value !== 'object' || value === null || value instanceof EngineValue) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Raised when the arguments do not fit into the buffer; the caller makes room and encodes again. */
class BufferFull extends Error {}

class Encoder {
  position = 0;
  operation = '';

  put(value: number): void {
    if (this.position >= buffer.length) throw new BufferFull();
    buffer[this.position++] = value;
  }

  value(value: OperatorArgument): void {
    switch (typeof value) {
      case 'number':
        this.put(Number.isSafeInteger(value) && !Object.is(value, -0) ? tags.integer : tags.double);
        this.put(value);
        return;
      case 'boolean':
        this.put(tags.boolean);
        this.put(value ? 1 : 0);
        return;
      case 'string':
        this.put(tags.string);
        this.put(internedId(value));
        return;
      case 'bigint': {
        const bits = BigInt.asUintN(64, value);
        if (BigInt.asIntN(64, value) !== value) {
          throw new ArgumentError(
            this.operation,
            `${value}n does not fit into 64 bits. Pass a smaller integer.`,
          );
        }
        this.put(tags.bigInteger);
        this.put(Number(bits >> 32n));
        this.put(Number(bits & 0xffff_ffffn));
        return;
      }
      case 'undefined':
        this.put(tags.default);
        return;
      case 'object':
        this.object(value);
        return;
      case 'function':
      case 'symbol':
        throw new ArgumentError(
          this.operation,
          `a ${typeof value} was passed. Operators take tensors, numbers, strings, booleans and lists of these.`,
        );
    }
  }

  private object(value: OperatorArgument & (object | null)): void {
    if (value === null) {
      this.put(tags.none);
    } else if (value instanceof EngineValue) {
      if (value.handle < 0)
        throw new DisposedTensorError(this.operation, `an argument (a ${value.engineKind})`);
      this.put(value.engineKind === 'tensor' ? tags.tensor : tags.generator);
      this.put(value.handle);
    } else if (Array.isArray(value)) {
      this.put(tags.list);
      this.put(value.length);
      for (const item of value as readonly OperatorArgument[]) this.value(item);
    } else if (isKeywords(value)) {
      throw new ArgumentError(
        this.operation,
        'an object was passed in the middle of the arguments. Keyword arguments go into one plain object at the end.',
      );
    } else {
      throw new ArgumentError(
        this.operation,
        `a ${value.constructor.name} was passed. Operators take tensors (Tensor.fromTypedArray makes one), numbers, strings, booleans and lists of these.`,
      );
    }
  }

  call(
    operation: string,
    operatorId: number,
    first: EngineValue | null,
    rest: readonly OperatorArgument[],
  ): void {
    this.operation = operation;
    this.position = 0;
    const last = rest.length > 0 ? rest[rest.length - 1] : undefined;
    const keywords = last !== undefined && isKeywords(last) ? last : null;
    const positionalCount = rest.length - (keywords === null ? 0 : 1);
    this.put(operatorId);
    this.put(positionalCount + (first === null ? 0 : 1));
    const keywordCountPosition = this.position;
    this.put(0);
    if (first !== null) this.value(first);
    for (let index = 0; index < positionalCount; index += 1) this.value(rest[index]);
    if (keywords === null) return;
    let count = 0;
    for (const name in keywords) {
      const value = keywords[name];
      if (value === undefined) continue;
      this.put(keywordId(name));
      this.value(value);
      count += 1;
    }
    buffer[keywordCountPosition] = count;
  }
}

const encoder = new Encoder();

/** Writes one call into the buffer: the operator, `first` (the tensor a method is called on) and the other arguments. */
export function encodeCall(
  operation: string,
  operatorId: number,
  first: EngineValue | null,
  rest: readonly OperatorArgument[],
): void {
  for (;;) {
    try {
      encoder.call(operation, operatorId, first, rest);
      return;
    } catch (error) {
      if (!(error instanceof BufferFull)) throw error;
      reserveBuffer(buffer.length * 2);
    }
  }
}

/** The tensor with this handle among the arguments of a call; an operator gave it back. */
function argumentWithHandle(
  handle: number,
  first: EngineValue | null,
  rest: readonly OperatorArgument[],
): EngineValue | null {
  if (first?.handle === handle) return first;
  for (const value of rest) {
    if (value instanceof EngineValue) {
      if (value.handle === handle) return value;
    } else if (value !== undefined && isKeywords(value)) {
      const found = argumentWithHandle(handle, null, Object.values(value));
      if (found !== null) return found;
    }
  }
  return null;
}

/**
 * Reads `count` results. Where the operator gave one of its arguments back (`add_`, `out`), that same object is returned.
 */
export function decodeResults(
  count: number,
  first: EngineValue | null,
  rest: readonly OperatorArgument[],
  wrap: (handle: number) => EngineValue,
): OperatorResult[] {
  let position = 0;
  const next = (): number => buffer[position++] ?? 0;
  const value = (): OperatorResult => {
    switch (next()) {
      case tags.tensor:
        return wrap(next());
      case tags.argument:
        return argumentWithHandle(next(), first, rest);
      case tags.integer:
      case tags.double:
        return next();
      case tags.boolean:
        return next() !== 0;
      case tags.list:
        return Array.from({ length: next() }, value);
      case tags.string:
        return native.internedString(next());
      case tags.bigInteger: {
        const high = BigInt(next());
        return (high << 32n) | BigInt(next());
      }
      default:
        return null;
    }
  };
  return Array.from({ length: count }, value);
}
