/** What a name in the graph stands for while it is lowered to kernel calls. */
import { asFloat32, sizeOf, type NdArray } from '../onnx/array.ts';
import type { Tensor } from './tensor.ts';

/** One channel of a tensor in blocks. */
export interface Channel {
  readonly tensor: Tensor;
  readonly index: number;
}

/** A constant before DequantizeLinear: `(integers - zeroPoint) * scale`, with one scale or one along `axis`. */
export interface QuantisedConstant {
  readonly integers: NdArray;
  readonly scales: Float32Array;
  readonly zeroPoints: ArrayLike<number> | null;
  readonly axis: number;
}

/**
 * A constant; or values in memory; or, where channels were only sliced, joined or shuffled, a list of channels that is
 * not copied before somebody needs it in one piece.
 */
export interface Value {
  readonly shape: readonly number[];
  constant?: NdArray;
  readonly quantised?: QuantisedConstant;
  tensor?: Tensor;
  readonly channels?: readonly Channel[];
}

/** Values of a constant as real numbers, or null where the value is none. */
export function constantOf(value: Value): NdArray | null {
  if (value.constant === undefined && value.quantised) value.constant = dequantise(value.quantised);
  return value.constant ?? null;
}

function dequantise({ integers, scales, zeroPoints, axis }: QuantisedConstant): NdArray {
  const inner = scales.length === 1 ? integers.data.length : sizeOf(integers.shape.slice(axis + 1));
  const data = new Float32Array(integers.data.length);
  for (let index = 0; index < data.length; index++) {
    const channel = scales.length === 1 ? 0 : Math.floor(index / inner) % scales.length;
    data[index] = ((integers.data[index] ?? 0) - (zeroPoints?.[channel] ?? 0)) * (scales[channel] ?? 0);
  }
  return { shape: integers.shape, data };
}

/** Float32 values of a constant. */
export function floatsOf(value: Value): Float32Array | null {
  const constant = constantOf(value);
  return constant && asFloat32(constant);
}
