/** Filters of 3x3 in the form that Winograd's algorithm multiplies (arXiv 1509.09308, equation 8: `G g G^T`). */

import type { NdArray } from '../onnx/array.ts';
import type { Kernels } from '../wasm/kernels.ts';
import type { WeightStore } from './weights.ts';

/** The rows of `G`, three numbers each: one row per element of a transformed tile along one axis. */
export type FilterTransform = readonly (readonly [number, number, number])[];

/** F(2x2, 3x3), interpolated at 0, 1, -1 and infinity. */
export const filters2: FilterTransform = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
];

/** F(4x4, 3x3), interpolated at 0, ±5/8, ±3/2 and infinity, as in `kernels/winogradTransforms.ts`. */
export const filters4: FilterTransform = [
  [1 / (5 / 8) ** 2 / 1.5 ** 2, 0, 0],
  ...pointRows(5 / 8, 1.5),
  ...pointRows(1.5, 5 / 8),
  [0, 0, 1],
];

/** Twice `filters2`: four times the products, for int16. */
export const integerFilters2: FilterTransform = [
  [2, 0, 0],
  [1, 1, 1],
  [1, -1, 1],
  [0, 0, 2],
];

/**
 * F(4x4, 3x3) at 0, ±1, ±2 and infinity, 24 times as large, and 12 times in the last row: then all fit into int16. See
 * `kernels/winogradTransforms.ts`.
 */
export const integerFilters4: FilterTransform = [
  [6, 0, 0],
  [-4, -4, -4],
  [-4, 4, -4],
  [1, 2, 4],
  [1, -2, 4],
  [0, 0, 12],
];

/** The rows of a point and its negative: its powers over the product of its distances to all other points. */
function pointRows(point: number, other: number): FilterTransform {
  const distances = 2 * point ** 2 * (point ** 2 - other ** 2);
  return [1, -1].map((sign) => [1 / distances, (sign * point) / distances, point ** 2 / distances]);
}

/**
 * Writes `[O, C, 3, 3]` to `packed` as `[E * E]` parts, where E is the number of rows of `transform`. Loading a network
 * waits for this.
 *
 * @param place index in a part for an output and an input channel
 */
function transformFilters(
  weights: ArrayLike<number>,
  outputs: number,
  inputs: number,
  transform: FilterTransform,
  packed: Float32Array,
  place: (output: number, input: number) => number,
): void {
  const side = transform.length;
  const rows = Float64Array.from(transform.flat());
  const partSize = packed.length / side ** 2;
  const half = new Float64Array(side * 3);
  for (let output = 0; output < outputs; output++) {
    for (let input = 0; input < inputs; input++) {
      const from = (output * inputs + input) * 9;
      for (let x = 0; x < 3; x++) {
        const top = weights[from + x] ?? 0;
        const middle = weights[from + 3 + x] ?? 0;
        const bottom = weights[from + 6 + x] ?? 0;
        for (let row = 0; row < side; row++) half[row * 3 + x] = product(rows, row * 3, top, middle, bottom);
      }
      let at = place(output, input);
      for (let row = 0; row < side; row++) {
        const left = half[row * 3] ?? 0;
        const middle = half[row * 3 + 1] ?? 0;
        const right = half[row * 3 + 2] ?? 0;
        for (let column = 0; column < side; column++) {
          packed[at] = product(rows, column * 3, left, middle, right);
          at += partSize;
        }
      }
    }
  }
}

function product(row: Float64Array, at: number, first: number, second: number, third: number): number {
  return (row[at] ?? 0) * first + (row[at + 1] ?? 0) * second + (row[at + 2] ?? 0) * third;
}

/** Filters for float32, `[E * E][outputs / 8][inputs / 4][4][8]`. */
export function packWinograd(
  weights: Float32Array,
  outputs: number,
  inputs: number,
  transform: FilterTransform,
): Float32Array {
  const blocks = Math.ceil(inputs / 4);
  const packed = new Float32Array(transform.length ** 2 * Math.ceil(outputs / 8) * blocks * 32);
  transformFilters(weights, outputs, inputs, transform, packed, (output, input) => {
    const block = (output >> 3) * blocks + (input >> 2);
    return block * 32 + (input & 3) * 8 + (output & 7);
  });
  return packed;
}

/**
 * Places filters for int16 in the kernels' memory, exact, `[E * E][outputs / 8][inputs / 8][4 pairs][8][2]`.
 *
 * @param weights `[outputs, inputs, 3, 3]`
 */
export function placeWinogradIntegers(
  store: WeightStore,
  kernels: Kernels,
  key: string,
  weights: NdArray['data'],
  [outputs, inputs]: readonly [number, number],
  transform: FilterTransform,
): number {
  const side = transform.length;
  const rows = store.place(`rows of G ${side}`, () => Int16Array.from(transform.flat()));
  const groups = Math.ceil(outputs / 8);
  const groupBytes = Math.ceil(inputs / 8) * 128;
  const outputSize = inputs * 9;
  return store.placeBy(key, side ** 2 * groups * groupBytes, (address) => {
    const scratch = store.scratch(2 * 8 * outputSize);
    for (let group = 0; group < groups; group++) {
      const count = Math.min(8, outputs - 8 * group);
      const from = 8 * group * outputSize;
      const values = new Int16Array(store.buffer, scratch, count * outputSize);
      values.set(weights.subarray(from, from + values.length));
      kernels.packFilters(
        ...[scratch, count, inputs, rows, side, address + group * groupBytes, groups * groupBytes],
      );
    }
  });
}
