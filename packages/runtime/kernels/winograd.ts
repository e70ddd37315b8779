/**
 * Convolutions of 3x3 and stride 1 by Winograd's algorithm (Lavin and Gray, arXiv 1509.09308): tiles of 2x2 output pixels
 * take 16 products in place of 36, and tiles of 4x4 pixels 36 in place of 144. In integers the result is exact.
 */
import { clamp, requantise } from './arithmetic';
import { floatRow, integerRow } from './tiles';
import { inverseFour, inverseSix, transformFour, transformSix } from './winogradTransforms';

/** `9 * INVERSE_OF_9 = 1` modulo 2^32. */
const INVERSE_OF_9: i32 = 954437177;
/** Bytes at the beginning of the scratch memory: a tile transformed along one axis, then two times sixteen pixels. */
const PIXELS: usize = 576, HEAD: usize = 1088;

const zeros = memory.data(64);

/** The input transform of tiles that lie `tile` pixels apart. */
// @ts-ignore: decorator
@inline
function transformInput<T>(
  tile: i32, input: usize, row: usize, plane: usize, blocks: i32, tilesX: i32, tilesY: i32,
  half: usize, target: usize, targetPlane: usize,
): void {
  const step = <usize>blocks * targetPlane;
  const side = <usize>(tile + 2);
  for (let block = 0; block < blocks; block++) {
    let to = target + block * targetPlane;
    for (let y = 0; y < tilesY; y++) {
      let from = input + block * plane + tile * y * row;
      for (let x = 0; x < tilesX; x++) {
        for (let index: usize = 0; index < side; index++) {
          if (tile == 2) transformFour<T>(from + index * row, 16, half + 64 * index, 16);
          else transformSix<T>(from + index * row, 16, half + 96 * index, 16);
        }
        for (let index: usize = 0; index < side; index++) {
          if (tile == 2) transformFour<T>(half + 16 * index, 64, to + index * step, 4 * step);
          else transformSix<T>(half + 16 * index, 96, to + index * step, 6 * step);
        }
        from += 16 * tile;
        to += 16;
      }
    }
  }
}

/** The output transform of one tile: its pixels, row by row, four channels each. */
// @ts-ignore: decorator
@inline
function inverse<T>(tile: i32, source: usize, step: usize, half: usize, pixels: usize): void {
  const side = <usize>(tile + 2);
  for (let index: usize = 0; index < side; index++) {
    if (tile == 2) inverseFour<T>(source + 4 * index * step, step, half + 32 * index, 16);
    else inverseSix<T>(source + 6 * index * step, step, half + 64 * index, 16);
  }
  for (let index: usize = 0; index < <usize>tile; index++) {
    if (tile == 2) inverseFour<T>(half + 16 * index, 32, pixels + 16 * index, 32);
    else inverseSix<T>(half + 16 * index, 64, pixels + 16 * index, 64);
  }
}

/**
 * From 4 or 576 times a sum to the sum. Everything is computed modulo 2^32: a sum below 2^25 is found by multiplying with the
 * inverse of 9 and shifting by 6, whatever overflowed on the way.
 */
// @ts-ignore: decorator
@inline
function divide(tile: i32, value: v128): v128 {
  if (tile == 2) return i32x4.shr_s(value, 2);
  return i32x4.shr_s(i32x4.mul(value, i32x4.splat(INVERSE_OF_9)), 6);
}

/**
 * Float32 or int16, as the exported functions say. `input` is the address of the pixel above and left of the first; `scratch`
 * holds `HEAD` bytes, then the transformed input and the products of `rows` rows of tiles.
 */
// @ts-ignore: decorator
@inline
function winograd<T>(
  tile: i32, input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, low: f32, high: f32, finish: usize,
): void {
  const side = tile + 2;
  const tilesX = (width + tile - 1) / tile, tilesY = (height + tile - 1) / tile;
  const groups = isFloat<T>() ? (outputBlocks + 1) / 2 : outputBlocks;
  const pixels = scratch + PIXELS, transformed = scratch + HEAD;
  const transformedStep = <usize>inputBlocks * scratchPlane;
  const products = transformed + side * side * transformedStep;
  const productStep = <usize>(2 * groups) * scratchPlane;
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  const noLow = f32x4.splat(-Infinity), noHigh = f32x4.splat(Infinity);
  for (let first = 0; first < tilesY; first += rows) {
    const count = min(rows, tilesY - first);
    transformInput<T>(
      tile, input + tile * first * inputRow, inputRow, inputPlane, inputBlocks, tilesX, count, scratch, transformed, scratchPlane,
    );
    let w = weights;
    for (let element = 0; element < side * side; element++) {
      const from = transformed + element * transformedStep;
      let to = products + element * productStep;
      for (let group = 0; group < groups; group++) {
        if (isFloat<T>()) {
          floatRow(
            count * tilesX, from, scratchPlane, 0, 0, 16, w, inputBlocks, 1, 1, to, scratchPlane,
            zeros, 0, 0, noLow, noHigh, true,
          );
        } else {
          integerRow(
            count * tilesX, from, scratchPlane, 0, 0, 16, w, inputBlocks, 1, 1, to, scratchPlane, zeros, 0, 0,
          );
        }
        w += 128 * inputBlocks;
        to += 2 * scratchPlane;
      }
    }
    for (let block = 0; block < outputBlocks; block++) {
      let from = products + <usize>(isFloat<T>() ? block : 2 * block) * scratchPlane;
      const biases = bias + (isFloat<T>() ? 16 : 64) * block;
      const bias0 = v128.load(biases), bias1 = v128.load(biases, 16);
      for (let ty = 0; ty < count; ty++) {
        const y = tile * (first + ty);
        const insideY = min(tile, height - y);
        const to = output + block * outputPlane + y * outputRow;
        const other = residual ? residual + block * residualPlane + y * residualRow : 0;
        for (let x = 0; x < width; x += tile) {
          if (isFloat<T>()) {
            inverse<T>(tile, from, productStep, scratch, pixels);
          } else {
            inverse<i32>(tile, from, productStep, scratch, pixels);
            inverse<i32>(tile, from + scratchPlane, productStep, scratch, pixels + 256);
          }
          const insideX = min(tile, width - x);
          for (let line = 0; line < insideY; line++) {
            let at = pixels + 16 * tile * line;
            let q = to + line * outputRow + 16 * x;
            let r = other ? other + line * residualRow + 16 * x : 0;
            for (let pixel = 0; pixel < insideX; pixel++) {
              if (isFloat<T>()) {
                let value = f32x4.add(v128.load(at), bias0);
                if (r) value = f32x4.add(value, v128.load(r));
                v128.store(q, clamp(value, lows, highs));
              } else {
                const a = i32x4.add(divide(tile, v128.load(at)), bias0), b = i32x4.add(divide(tile, v128.load(at, 256)), bias1);
                v128.store(q, requantise(a, b, biases, finish, r, 0));
              }
              at += 16;
              q += 16;
              if (r) r += 16;
            }
          }
          from += 16;
        }
      }
    }
  }
}

/** Float32 with tiles of 2x2 pixels. */
export function winogradFloat(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, low: f32, high: f32,
): void {
  winograd<f32>(
    2, input, inputRow, inputPlane, inputBlocks, output, outputRow, outputPlane, outputBlocks, height, width,
    weights, scratch, scratchPlane, rows, bias, residual, residualRow, residualPlane, low, high, 0,
  );
}

/** Float32 with tiles of 4x4 pixels. */
export function winogradFloat4(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, low: f32, high: f32,
): void {
  winograd<f32>(
    4, input, inputRow, inputPlane, inputBlocks, output, outputRow, outputPlane, outputBlocks, height, width,
    weights, scratch, scratchPlane, rows, bias, residual, residualRow, residualPlane, low, high, 0,
  );
}

/** Int16 with int32 products and tiles of 2x2 pixels; filters are four times as large. */
export function winogradInteger(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, finish: usize,
): void {
  winograd<i16>(
    2, input, inputRow, inputPlane, inputBlocks, output, outputRow, outputPlane, outputBlocks, height, width,
    weights, scratch, scratchPlane, rows, bias, residual, residualRow, residualPlane, 0, 0, finish,
  );
}

/** Int16 with int32 products and tiles of 4x4 pixels; sums must be below 2^25. */
export function winogradInteger4(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, finish: usize,
): void {
  winograd<i16>(
    4, input, inputRow, inputPlane, inputBlocks, output, outputRow, outputPlane, outputBlocks, height, width,
    weights, scratch, scratchPlane, rows, bias, residual, residualRow, residualPlane, 0, 0, finish,
  );
}
