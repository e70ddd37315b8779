/** The tensor: a handle of LibTorch's, with every ATen operator as a method, an owner that releases it, and typed arrays. */
import { markAsUntransferable } from 'node:worker_threads';
import { EngineValue, buffer, reserveBuffer } from './callBuffer.ts';
import { defineMethods, operatorFunctions, reportUnary, useTensors } from './dispatch.ts';
import {
  dtypeOfArray,
  dtypeOfCode,
  dtypes,
  type DType,
  type TypedArray,
  type TypedArrayOf,
} from './dtype.ts';
import { ArgumentError, DisposedTensorError } from './errors.ts';
import type { Operators, TensorOperators } from './generated/operators.ts';
import { checked, native, openEngine } from './native.ts';
import { adopt, recogniseTensors, type Scope, type ScopedTensor } from './scope.ts';

/** Frees tensors that nobody disposed of and nothing refers to any more. */
const finalizers = new FinalizationRegistry<number>((handle) => {
  native.release(handle);
});

/**
 * The class whose prototype carries the operators. Their types are generated from LibTorch's schemas; this is the one
 * place where the type checker learns about them.
 */
class OperatorMethods extends EngineValue {
  readonly engineKind = 'tensor';
}
const WithOperators = OperatorMethods as new () => OperatorMethods & TensorOperators;

interface Description {
  readonly dtypeCode: number;
  readonly requiresGrad: boolean;
  readonly isLeaf: boolean;
  readonly contiguity: number;
  readonly shape: number[];
  readonly strides: number[];
}

let readBackCount = 0;

/**
 * How often values of tensors were read since the start, by `item`, `toNumbers` or `toTypedArray`. On a graphics card each waits
 * until all that was asked of it before is done.
 */
export function readBacks(): number {
  return readBackCount;
}

/**
 * A multi-dimensional array of the engine.
 *
 * Every ATen operator that takes `self` is a method in camelCase: `x.add(1)`, `x.sum([1], true)`,
 * `x.to('float64')`, `x.contiguous({ memoryFormat: 'channelsLast' })`. Memory: a tensor made inside a `scope()` is
 * released when the scope ends, unless it is returned; otherwise by `dispose()`, or when it is garbage collected.
 */
export class Tensor extends WithOperators implements ScopedTensor {
  /** The scope that will release this tensor, or null. */
  owner: Scope | null = null;
  #hasFinalizer = false;

  /** Wraps a handle of the addon. Users make tensors with `tensor()`, `Tensor.fromTypedArray` and operators. */
  constructor(handle: number) {
    super();
    this.handle = handle;
    if (!adopt(this)) this.leaveScopes();
  }

  /**
   * Copies a typed array into a new tensor of `shape` (default: one dimension).
   * The dtype follows the array, unless `dtype` names another one of the same width (`bool`, `float16`, `bfloat16`);
   * a `Uint16Array` needs one.
   *
   * @throws {ArgumentError} when the array's length is not the product of `shape`.
   */
  static fromTypedArray(data: TypedArray, shape: readonly number[] = [data.length], dtype?: DType): Tensor {
    return Tensor.#make('fromTypedArray', data, shape, dtype, (code) => native.fromBytes(data, code));
  }

  /**
   * As `fromTypedArray`, but without a copy: the array and the tensor share their memory from now on. The array's
   * buffer cannot be transferred to another thread any more, since the tensor would keep reading it.
   *
   * @throws {ArgumentError} for resizable and shared buffers too.
   */
  static wrapTypedArray(data: TypedArray, shape: readonly number[] = [data.length], dtype?: DType): Tensor {
    if (
      !(data.buffer instanceof ArrayBuffer) ||
      ('resizable' in data.buffer && data.buffer.resizable === true)
    ) {
      throw new ArgumentError(
        'wrapTypedArray',
        'the array lies in a resizable or shared buffer, whose memory may change under the tensor. Use fromTypedArray, which copies.',
      );
    }
    markAsUntransferable(data.buffer);
    return Tensor.#make('wrapTypedArray', data, shape, dtype, (code) => native.wrapBytes(data, code));
  }

  static #make(
    operation: string,
    data: TypedArray,
    shape: readonly number[],
    dtype: DType | undefined,
    build: (code: number) => number | undefined,
  ): Tensor {
    const type = dtype ?? dtypeOfArray(data);
    if (type === undefined || !Object.hasOwn(dtypes, type)) {
      const came = dtype === undefined ? `a ${data.constructor.name} without a dtype` : `dtype '${dtype}'`;
      throw new ArgumentError(
        operation,
        `${came} says no element type. A Uint16Array takes 'float16' or 'bfloat16'; the dtypes are ${Object.keys(dtypes).join(', ')}.`,
      );
    }
    const info = dtypes[type];
    const elements = shape.reduce((product, size) => product * size, 1);
    if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || elements !== data.length) {
      throw new ArgumentError(
        operation,
        `shape [${shape.join(', ')}] holds ${elements} elements, but the array has ${data.length}. Pass a shape whose product is the array's length.`,
      );
    }
    const expected = info.allocate(0).constructor as new (length: number) => TypedArray;
    if (!(data instanceof expected) && !(data instanceof Uint8ClampedArray && type === 'uint8')) {
      throw new ArgumentError(
        operation,
        `dtype '${type}' is carried by a ${expected.name}, but the array is a ${data.constructor.name}. Leave out the dtype and convert with tensor.to('${type}') afterwards.`,
      );
    }
    if (type === 'bool' && data.some((value: number | bigint) => value > 1)) {
      throw new ArgumentError(
        operation,
        "dtype 'bool' takes the bytes 0 and 1 only. Compare first: x.ne(0).",
      );
    }
    // The first tensor of all opens the engine, which computes with the buffer itself.
    openEngine();
    reserveBuffer(shape.length + 1);
    buffer[0] = shape.length;
    buffer.set(shape, 1);
    return new Tensor(checked(operation, build(info.code)));
  }

  #describe(operation: string): Description {
    this.assertAlive(operation);
    checked(operation, native.describe(this.handle));
    const rank = buffer[4] ?? 0;
    return {
      dtypeCode: buffer[0] ?? -1,
      requiresGrad: buffer[1] === 1,
      isLeaf: buffer[2] === 1,
      contiguity: buffer[3] ?? 0,
      shape: Array.from(buffer.subarray(5, 5 + rank)),
      strides: Array.from(buffer.subarray(5 + rank, 5 + 2 * rank)),
    };
  }

  /** @throws {DisposedTensorError} when the tensor was released. */
  assertAlive(operation: string): void {
    if (this.handle < 0) throw new DisposedTensorError(operation);
  }

  /** Size of every dimension. */
  get shape(): readonly number[] {
    return this.#describe('shape').shape;
  }

  /** Elements from one index to the next, of every dimension. */
  get strides(): readonly number[] {
    return this.#describe('strides').strides;
  }

  /** Number of elements. */
  get numel(): number {
    return this.#describe('numel').shape.reduce((product, size) => product * size, 1);
  }

  /** Element type. @throws {ArgumentError} for complex and quantised tensors, which have no typed array. */
  get dtype(): DType {
    return this.#dtype('dtype');
  }

  #dtype(operation: string): DType {
    const code = this.#describe(operation).dtypeCode;
    const name = dtypeOfCode(code);
    if (name === undefined) {
      throw new ArgumentError(
        operation,
        `LibTorch's scalar type ${code} has no name here. Convert it first, e.g. with x.viewAsReal().`,
      );
    }
    return name;
  }

  /** Where the tensor lives, e.g. `cpu` or `cuda:0`. */
  get device(): string {
    this.assertAlive('device');
    return checked('device', native.device(this.handle));
  }

  /** Whether the elements lie in the given order without gaps. */
  hasMemoryFormat(format: 'contiguous' | 'channelsLast'): boolean {
    return (this.#describe('hasMemoryFormat').contiguity & (format === 'contiguous' ? 1 : 2)) !== 0;
  }

  /** Whether operations on this tensor are recorded for differentiation. */
  get requiresGrad(): boolean {
    return this.#describe('requiresGrad').requiresGrad;
  }

  set requiresGrad(value: boolean) {
    this.assertAlive('requiresGrad');
    checked('requiresGrad', native.setRequiresGrad(this.handle, value));
  }

  /** Whether the tensor was made by the user, not computed: only leaves collect `grad`. */
  get isLeaf(): boolean {
    return this.#describe('isLeaf').isLeaf;
  }

  /** The gradient that `backward()` left on this leaf; null before. A new handle of the same memory at every reading. */
  get grad(): Tensor | null {
    this.assertAlive('grad');
    const handle = checked('grad', native.gradientOf(this.handle));
    return handle < 0 ? null : new Tensor(handle);
  }

  set grad(value: Tensor | null) {
    this.assertAlive('grad');
    value?.assertAlive('grad');
    checked('grad', native.setGradient(this.handle, value === null ? -1 : value.handle));
  }

  /** Takes over the memory of `source`, in any layout; parameters move this way without losing their identity. */
  setData(source: Tensor): this {
    this.assertAlive('setData');
    source.assertAlive('setData');
    checked('setData', native.setData(this.handle, source.handle));
    return this;
  }

  /**
   * Adds the gradient of this tensor, which must have one element, to `grad` of every leaf it depends on;
   * `backward()` of this package does the same for several tensors at once.
   */
  backward(options: { readonly retainGraph?: boolean; readonly createGraph?: boolean } = {}): void {
    this.assertAlive('backward');
    const { createGraph = false, retainGraph = createGraph } = options;
    buffer.set([1, this.handle, 0, 0]);
    checked('backward', native.backward(retainGraph, createGraph));
  }

  /** A second handle of the same tensor, with a lifetime of its own. */
  alias(): Tensor {
    this.assertAlive('alias');
    const result = new Tensor(checked('alias', native.alias(this.handle)));
    reportUnary('alias', this, result);
    return result;
  }

  /** The elements, row by row, in a new typed array; one copy. */
  toTypedArray(): TypedArrayOf[DType] {
    const { allocate } = dtypes[this.#dtype('toTypedArray')];
    const array = allocate(this.numel);
    readBackCount += 1;
    checked('toTypedArray', native.toBytes(this.handle, array));
    return array;
  }

  /**
   * The elements of any dtype as numbers, row by row.
   *
   * @throws {ArgumentError} when an int64 is too large for a number; `toTypedArray()` gives bigints.
   */
  toNumbers(): number[] {
    const name = this.#dtype('toNumbers');
    if (name === 'float16' || name === 'bfloat16') {
      const wide = this.to('float32');
      try {
        return wide.toNumbers();
      } finally {
        wide.dispose();
      }
    }
    const array = this.toTypedArray();
    if (!(array instanceof BigInt64Array)) return Array.from(array);
    return Array.from(array, (value) => {
      const number = Number(value);
      if (!Number.isSafeInteger(number)) {
        throw new ArgumentError(
          'toNumbers',
          `${value}n is too large for a number. Use toTypedArray(), which gives bigints.`,
        );
      }
      return number;
    });
  }

  /** The value of a tensor with one element. */
  item(): number {
    this.assertAlive('item');
    readBackCount += 1;
    return checked('item', native.item(this.handle));
  }

  /** Releases the memory now; a second call does nothing. */
  dispose(): void {
    if (this.handle < 0) return;
    native.release(this.handle);
    this.handle = -1;
    this.owner = null;
    if (this.#hasFinalizer) finalizers.unregister(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Called by scopes: from now on the garbage collector is the net beneath. */
  leaveScopes(): void {
    if (this.#hasFinalizer) return;
    finalizers.register(this, this.handle, this);
    native.leaveToCollector(this.handle);
    this.#hasFinalizer = true;
  }

  /** Gives the handle away to a new owner; this tensor counts as released from now on. */
  detachHandle(): number {
    const { handle } = this;
    if (this.#hasFinalizer) finalizers.unregister(this);
    this.handle = -1;
    this.owner = null;
    return handle;
  }

  /** Short form for messages, e.g. `Tensor float32 [2, 3]`. */
  override toString(): string {
    if (this.handle < 0) return 'Tensor (released)';
    const { dtypeCode, shape } = this.#describe('toString');
    return `Tensor ${dtypeOfCode(dtypeCode) ?? `scalar type ${dtypeCode}`} [${shape.join(', ')}]`;
  }

  /** What `console.log` shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

recogniseTensors((value): value is Tensor => value instanceof Tensor);
useTensors(Tensor, String);
defineMethods(Tensor.prototype);

/** Every ATen operator as a function: `ops.conv2d(x, w, null, 1, 1)`, `ops.cat([a, b], 1)`, `ops.arange(5, { dtype: 'int64' })`. */
export const ops = operatorFunctions() as Partial<Operators> as Operators;
