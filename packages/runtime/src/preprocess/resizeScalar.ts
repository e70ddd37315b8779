/**
 * The arithmetic of the resize in plain JavaScript: what `kernels/resize.ts` must compute to the bit, and what is used where
 * WebAssembly is forbidden.
 */
import type { PixelImage } from './image.ts';
import { WEIGHT_BITS, type AxisWeights } from './kernel.ts';
import type { ResizePlan } from './resizePlan.ts';

/** Fraction bits of the values between the two passes; with Lanczos' overshoot they still fit 16 bits. */
const MIDDLE_BITS = 6;
/** Carries out a plan. */
export function resizeScalar(image: PixelImage, plan: ResizePlan): PixelImage {
  const { width, height, horizontal, vertical } = plan;
  const { channels } = image;
  const { width: inputWidth, data } = boxShrink(image, plan.shrinkX, plan.shrinkY);
  const result = new Uint8Array(width * height * channels);
  const row = new Int16Array(inputWidth * channels);
  const sums = new Int32Array(inputWidth * channels);
  for (let y = 0; y < height; y += 1) {
    mixRows(data, row, sums, vertical, y);
    mixColumns(row, result, y * width * channels, channels, horizontal);
  }
  return { width, height, channels, data: result };
}

/** Averages of `shrinkX` by `shrinkY` pixels, rounded to the nearest; those at the right and lower edge may be of fewer. */
function boxShrink(
  image: PixelImage,
  shrinkX: number,
  shrinkY: number,
): Pick<PixelImage, 'width' | 'height' | 'data'> {
  if (shrinkX === 1 && shrinkY === 1) return image;
  const { width, height, channels, data } = image;
  const outputWidth = Math.ceil(width / shrinkX);
  const outputHeight = Math.ceil(height / shrinkY);
  const rowLength = width * channels;
  const result = new Uint8Array(outputWidth * outputHeight * channels);
  const sums = new Float64Array(outputWidth * channels);
  const columns = new Int32Array(rowLength);
  for (let y = 0, to = 0; y < outputHeight; y += 1) {
    const firstRow = y * shrinkY;
    const rows = Math.min(shrinkY, height - firstRow);
    columns.fill(0);
    for (let row = firstRow; row < firstRow + rows; row += 1) addRow(columns, data, row * rowLength);
    sumColumns(columns, sums, channels, shrinkX);
    for (let x = 0, at = 0; x < outputWidth; x += 1) {
      const count = rows * Math.min(shrinkX, width - x * shrinkX);
      for (let channel = 0; channel < channels; channel += 1, at += 1, to += 1) {
        result[to] = Math.floor(((sums[at] ?? 0) + count / 2) / count);
      }
    }
  }
  return { width: outputWidth, height: outputHeight, data: result };
}

function addRow(sums: Int32Array, data: PixelImage['data'], from: number): void {
  for (let index = 0; index < sums.length; index += 1) {
    sums[index] = (sums[index] ?? 0) + (data[from + index] ?? 0);
  }
}

function sumColumns(columns: Int32Array, sums: Float64Array, channels: number, shrink: number): void {
  sums.fill(0);
  const stride = shrink * channels;
  for (let first = 0, to = 0; first < columns.length; first += stride, to += channels) {
    const end = Math.min(columns.length, first + stride);
    for (let channel = 0; channel < channels; channel += 1) {
      let sum = 0;
      for (let from = first + channel; from < end; from += channels) sum += columns[from] ?? 0;
      sums[to + channel] = sum;
    }
  }
}

/** One output row at the input's width: `[W, C]` in 1/64 of a level. */
function mixRows(
  data: PixelImage['data'],
  row: Int16Array,
  sums: Int32Array,
  { first, weights, taps }: AxisWeights,
  y: number,
): void {
  const length = row.length;
  const shift = WEIGHT_BITS - MIDDLE_BITS;
  const weightAt = (tap: number): number => (tap < taps ? (weights[y * taps + tap] ?? 0) : 0);
  const top = first[y] ?? 0;
  sums.fill(1 << (shift - 1));
  // Four rows at once, so that the sums are loaded and stored a quarter as often.
  for (let tap = 0; tap < taps; tap += 4) {
    const [a, b, c, d] = [weightAt(tap), weightAt(tap + 1), weightAt(tap + 2), weightAt(tap + 3)];
    if (a === 0 && b === 0 && c === 0 && d === 0) continue;
    // Rows past the last have no weight; any row may stand for them.
    const rowAt = (further: number): number => (top + Math.min(taps - 1, tap + further)) * length;
    addFourRows(sums, data, [rowAt(0), rowAt(1), rowAt(2), rowAt(3)], [a, b, c, d]);
  }
  for (let index = 0; index < length; index += 1) row[index] = (sums[index] ?? 0) >> shift;
}

type Four = readonly [number, number, number, number];

function addFourRows(
  sums: Int32Array,
  data: PixelImage['data'],
  [fromA, fromB, fromC, fromD]: Four,
  [a, b, c, d]: Four,
): void {
  for (let index = 0; index < sums.length; index += 1) {
    sums[index] =
      ((sums[index] ?? 0) +
        a * (data[fromA + index] ?? 0) +
        b * (data[fromB + index] ?? 0) +
        c * (data[fromC + index] ?? 0) +
        d * (data[fromD + index] ?? 0)) |
      0;
  }
}

/** One output row at the output's width, in whole levels. */
function mixColumns(
  row: Int16Array,
  result: Uint8Array,
  to: number,
  channels: number,
  axis: AxisWeights,
): void {
  if (channels === 3) mixColours(row, result, to, axis);
  else mixGreys(row, result, to, axis);
}

const HALF = 1 << (WEIGHT_BITS + MIDDLE_BITS - 1);

function level(sum: number): number {
  const value = sum >> (WEIGHT_BITS + MIDDLE_BITS);
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function mixGreys(row: Int16Array, result: Uint8Array, to: number, axis: AxisWeights): void {
  const { first, weights, taps } = axis;
  for (let x = 0, at = 0; x < first.length; x += 1) {
    let from = first[x] ?? 0;
    let sum = HALF;
    for (let tap = 0; tap < taps; tap += 1) sum = (sum + (weights[at++] ?? 0) * (row[from++] ?? 0)) | 0;
    result[to + x] = level(sum);
  }
}

/** As three calls of `mixGreys`, with each weight loaded once. */
function mixColours(row: Int16Array, result: Uint8Array, to: number, axis: AxisWeights): void {
  const { first, weights, taps } = axis;
  for (let x = 0, at = 0; x < first.length; x += 1) {
    let from = 3 * (first[x] ?? 0);
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    for (let tap = 0; tap < taps; tap += 1, from += 3) {
      const weight = weights[at++] ?? 0;
      red = (red + weight * (row[from] ?? 0)) | 0;
      green = (green + weight * (row[from + 1] ?? 0)) | 0;
      blue = (blue + weight * (row[from + 2] ?? 0)) | 0;
    }
    result[to + 3 * x] = level(red);
    result[to + 3 * x + 1] = level(green);
    result[to + 3 * x + 2] = level(blue);
  }
}
