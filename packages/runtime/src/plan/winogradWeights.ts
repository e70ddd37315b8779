/** Filters of 3x3 in the form that Winograd's algorithm multiplies (arXiv 1509.09308, equation 8: `G g G^T`). */
import { packDense, packDenseIntegers } from './weights.ts';

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

/** `[O, C, 3, 3] -> [E, E, O, C]`, where E is the number of rows of `transform`. */
function transformFilters(
  weights: ArrayLike<number>,
  outputs: number,
  inputs: number,
  transform: FilterTransform,
): Float64Array {
  const filters = outputs * inputs;
  const elements = transform.length;
  const result = new Float64Array(elements * elements * filters);
  const half = new Float64Array(elements * 3);
  for (let filter = 0; filter < filters; filter++) {
    for (const [row, [first, second, third]] of transform.entries()) {
      for (let x = 0; x < 3; x++) {
        half[row * 3 + x] =
          first * (weights[filter * 9 + x] ?? 0) +
          second * (weights[filter * 9 + 3 + x] ?? 0) +
          third * (weights[filter * 9 + 6 + x] ?? 0);
      }
    }
    for (let row = 0; row < elements; row++) {
      for (const [column, [first, second, third]] of transform.entries()) {
        result[(row * elements + column) * filters + filter] =
          first * (half[row * 3] ?? 0) + second * (half[row * 3 + 1] ?? 0) + third * (half[row * 3 + 2] ?? 0);
      }
    }
  }
  return result;
}

/** Filters for float32, `[E * E][outputs / 8][inputs / 4][4][8]`. */
export function packWinograd(
  weights: Float32Array,
  outputs: number,
  inputs: number,
  transform: FilterTransform,
): Float32Array {
  const transformed = new Float32Array(transformFilters(weights, outputs, inputs, transform));
  const count = transform.length ** 2;
  const elementSize = Math.ceil(outputs / 8) * Math.ceil(inputs / 4) * 32;
  const packed = new Float32Array(count * elementSize);
  const one = { outputs, inputs, height: 1, width: 1 };
  for (let element = 0; element < count; element++) {
    const filters = transformed.subarray(element * outputs * inputs, (element + 1) * outputs * inputs);
    packed.set(packDense(filters, one), element * elementSize);
  }
  return packed;
}

/** Filters for int16, exact, `[E * E][outputs / 8][inputs / 8][4 pairs][8][2]`. */
export function packWinogradIntegers(
  weights: ArrayLike<number>,
  outputs: number,
  inputs: number,
  transform: FilterTransform,
): Int16Array {
  const transformed = transformFilters(weights, outputs, inputs, transform);
  const count = transform.length ** 2;
  const elementSize = Math.ceil(outputs / 8) * Math.ceil(inputs / 8) * 64;
  const packed = new Int16Array(count * elementSize);
  const one = { outputs, inputs, height: 1, width: 1 };
  for (let element = 0; element < count; element++) {
    const filters = transformed.subarray(element * outputs * inputs, (element + 1) * outputs * inputs);
    packed.set(packDenseIntegers(filters, one), element * elementSize);
  }
  return packed;
}
