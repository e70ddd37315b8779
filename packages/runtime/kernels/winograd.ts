/**
 * Convolutions of 3x3 and stride 1 by Winograd's algorithm F(2x2, 3x3) (Lavin and Gray, arXiv 1509.09308): 16 products
 * in place of 36 for four output pixels. In integers the weights are four times as large, and the result stays exact.
 */
import { clamp, requantise } from './arithmetic';
import { floatRow, integerRow } from './tiles';

// @ts-ignore: decorator
@inline
function plus<T>(a: v128, b: v128): v128 {
  return isFloat<T>() ? f32x4.add(a, b) : sizeof<T>() == 2 ? i16x8.add(a, b) : i32x4.add(a, b);
}

// @ts-ignore: decorator
@inline
function minus<T>(a: v128, b: v128): v128 {
  return isFloat<T>() ? f32x4.sub(a, b) : sizeof<T>() == 2 ? i16x8.sub(a, b) : i32x4.sub(a, b);
}

/** Equation 5's input transform of one tile of 4x4 pixels. */
// @ts-ignore: decorator
@inline
function transformTile<T>(source: usize, row: usize, target: usize, step: usize): void {
  let p = source;
  let d0 = v128.load(p), d1 = v128.load(p, 16), d2 = v128.load(p, 32), d3 = v128.load(p, 48);
  const a0 = minus<T>(d0, d2), a1 = plus<T>(d1, d2), a2 = minus<T>(d2, d1), a3 = minus<T>(d1, d3);
  p += row;
  d0 = v128.load(p), d1 = v128.load(p, 16), d2 = v128.load(p, 32), d3 = v128.load(p, 48);
  const b0 = minus<T>(d0, d2), b1 = plus<T>(d1, d2), b2 = minus<T>(d2, d1), b3 = minus<T>(d1, d3);
  p += row;
  d0 = v128.load(p), d1 = v128.load(p, 16), d2 = v128.load(p, 32), d3 = v128.load(p, 48);
  const c0 = minus<T>(d0, d2), c1 = plus<T>(d1, d2), c2 = minus<T>(d2, d1), c3 = minus<T>(d1, d3);
  let q = target;
  v128.store(q, minus<T>(a0, c0)); q += step;
  v128.store(q, minus<T>(a1, c1)); q += step;
  v128.store(q, minus<T>(a2, c2)); q += step;
  v128.store(q, minus<T>(a3, c3)); q += step;
  v128.store(q, plus<T>(b0, c0)); q += step;
  v128.store(q, plus<T>(b1, c1)); q += step;
  v128.store(q, plus<T>(b2, c2)); q += step;
  v128.store(q, plus<T>(b3, c3)); q += step;
  v128.store(q, minus<T>(c0, b0)); q += step;
  v128.store(q, minus<T>(c1, b1)); q += step;
  v128.store(q, minus<T>(c2, b2)); q += step;
  v128.store(q, minus<T>(c3, b3)); q += step;
  p += row;
  d0 = v128.load(p), d1 = v128.load(p, 16), d2 = v128.load(p, 32), d3 = v128.load(p, 48);
  v128.store(q, minus<T>(b0, minus<T>(d0, d2))); q += step;
  v128.store(q, minus<T>(b1, plus<T>(d1, d2))); q += step;
  v128.store(q, minus<T>(b2, minus<T>(d2, d1))); q += step;
  v128.store(q, minus<T>(b3, minus<T>(d1, d3)));
}

function transformInput<T>(
  input: usize, row: usize, plane: usize, blocks: i32, tilesX: i32, tilesY: i32, target: usize, targetPlane: usize,
): void {
  const step = <usize>blocks * targetPlane;
  for (let block = 0; block < blocks; block++) {
    let to = target + block * targetPlane;
    for (let y = 0; y < tilesY; y++) {
      let from = input + block * plane + 2 * y * row;
      for (let x = 0; x < tilesX; x++) {
        transformTile<T>(from, row, to, step);
        from += 32;
        to += 16;
      }
    }
  }
}

/** The output transform of a tile, equation 5: its four pixels, written to `target`. */

// @ts-ignore: decorator
@inline
function inverse<T>(source: usize, step: usize, target: usize): void {
  let p = source;
  let m0 = v128.load(p); p += step;
  let m1 = v128.load(p); p += step;
  let m2 = v128.load(p); p += step;
  let m3 = v128.load(p); p += step;
  const a0 = plus<T>(plus<T>(m0, m1), m2), a1 = minus<T>(minus<T>(m1, m2), m3);
  m0 = v128.load(p); p += step;
  m1 = v128.load(p); p += step;
  m2 = v128.load(p); p += step;
  m3 = v128.load(p); p += step;
  const b0 = plus<T>(plus<T>(m0, m1), m2), b1 = minus<T>(minus<T>(m1, m2), m3);
  m0 = v128.load(p); p += step;
  m1 = v128.load(p); p += step;
  m2 = v128.load(p); p += step;
  m3 = v128.load(p); p += step;
  const c0 = plus<T>(plus<T>(m0, m1), m2), c1 = minus<T>(minus<T>(m1, m2), m3);
  m0 = v128.load(p); p += step;
  m1 = v128.load(p); p += step;
  m2 = v128.load(p); p += step;
  m3 = v128.load(p);
  const d0 = plus<T>(plus<T>(m0, m1), m2), d1 = minus<T>(minus<T>(m1, m2), m3);
  v128.store(target, plus<T>(plus<T>(a0, b0), c0));
  v128.store(target, plus<T>(plus<T>(a1, b1), c1), 16);
  v128.store(target, minus<T>(minus<T>(b0, c0), d0), 32);
  v128.store(target, minus<T>(minus<T>(b1, c1), d1), 48);
}

// @ts-ignore: decorator
@inline
function finishFloat(value: v128, bias: v128, residual: usize, low: v128, high: v128): v128 {
  value = f32x4.add(value, bias);
  if (residual) value = f32x4.add(value, v128.load(residual));
  return clamp(value, low, high);
}

/**
 * Float32. `input` is the address of the pixel above and left of the first; `scratch` holds 64 bytes, then the
 * transformed input and the products of `rows` rows of tiles.
 */
export function winogradFloat(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, low: f32, high: f32,
): void {
  const tilesX = (width + 1) / 2, tilesY = (height + 1) / 2;
  const pairs = (outputBlocks + 1) / 2;
  const pixels = scratch, transformed = scratch + 64;
  const transformedStep = <usize>inputBlocks * scratchPlane;
  const products = transformed + 16 * transformedStep;
  const productStep = <usize>(2 * pairs) * scratchPlane;
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  const noLow = f32x4.splat(-Infinity), noHigh = f32x4.splat(Infinity);
  for (let first = 0; first < tilesY; first += rows) {
    const count = min(rows, tilesY - first);
    transformInput<f32>(input + 2 * first * inputRow, inputRow, inputPlane, inputBlocks, tilesX, count, transformed, scratchPlane);
    let w = weights;
    for (let element = 0; element < 16; element++) {
      for (let pair = 0; pair < pairs; pair++) {
        floatRow(
          count * tilesX, transformed + element * transformedStep, scratchPlane, 0, 0, 16, w, inputBlocks, 1, 1,
          products + element * productStep + <usize>(2 * pair) * scratchPlane, scratchPlane,
          zeros, 0, 0, noLow, noHigh, true,
        );
        w += 128 * inputBlocks;
      }
    }
    for (let block = 0; block < outputBlocks; block++) {
      let from = products + block * scratchPlane;
      const biases = v128.load(bias + 16 * block);
      for (let ty = 0; ty < count; ty++) {
        const y = 2 * (first + ty);
        let to = output + block * outputPlane + y * outputRow;
        let other = residual ? residual + block * residualPlane + y * residualRow : 0;
        for (let x = 0; x < width; x += 2) {
          inverse<f32>(from, productStep, pixels);
          v128.store(to, finishFloat(v128.load(pixels), biases, other, lows, highs));
          if (x + 1 < width) v128.store(to, finishFloat(v128.load(pixels, 16), biases, other ? other + 16 : 0, lows, highs), 16);
          if (y + 1 < height) {
            const below = to + outputRow;
            const otherBelow = other ? other + residualRow : 0;
            v128.store(below, finishFloat(v128.load(pixels, 32), biases, otherBelow, lows, highs));
            if (x + 1 < width) v128.store(below, finishFloat(v128.load(pixels, 48), biases, otherBelow ? otherBelow + 16 : 0, lows, highs), 16);
          }
          from += 16;
          to += 32;
          if (other) other += 32;
        }
      }
    }
  }
}

const zeros = memory.data(64);

/** Int16 with int32 products, exact. `scratch` holds 128 bytes, then as in `winogradFloat`. */
export function winogradInteger(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, finish: usize,
): void {
  const tilesX = (width + 1) / 2, tilesY = (height + 1) / 2;
  const transformed = scratch + 128;
  const transformedStep = <usize>inputBlocks * scratchPlane;
  const products = transformed + 16 * transformedStep;
  const productStep = <usize>(2 * outputBlocks) * scratchPlane;
  for (let first = 0; first < tilesY; first += rows) {
    const count = min(rows, tilesY - first);
    transformInput<i16>(input + 2 * first * inputRow, inputRow, inputPlane, inputBlocks, tilesX, count, transformed, scratchPlane);
    let w = weights;
    for (let element = 0; element < 16; element++) {
      for (let block = 0; block < outputBlocks; block++) {
        integerRow(
          count * tilesX, transformed + element * transformedStep, scratchPlane, 0, 0, 16, w, inputBlocks, 1, 1,
          products + element * productStep + <usize>(2 * block) * scratchPlane, scratchPlane, zeros, 0, 0,
        );
        w += 128 * inputBlocks;
      }
    }
    let biases = bias;
    for (let block = 0; block < outputBlocks; block++) {
      let from = products + <usize>(2 * block) * scratchPlane;
      const bias0 = v128.load(biases), bias1 = v128.load(biases, 16);
      for (let ty = 0; ty < count; ty++) {
        const y = 2 * (first + ty);
        const to = output + block * outputPlane + y * outputRow;
        const other = residual ? residual + block * residualPlane + y * residualRow : 0;
        for (let x = 0; x < width; x += 2) {
          inverse<i32>(from, productStep, scratch);
          inverse<i32>(from + scratchPlane, productStep, scratch + 64);
          for (let pixel = 0; pixel < 4; pixel++) {
            const px = x + (pixel & 1), py = pixel >> 1;
            if (px < width && y + py < height) {
              const at = scratch + 16 * pixel;
              v128.store(
                to + py * outputRow + 16 * px,
                requantise(
                  i32x4.add(i32x4.shr_s(v128.load(at), 2), bias0),
                  i32x4.add(i32x4.shr_s(v128.load(at, 64), 2), bias1),
                  biases, finish, other ? other + py * residualRow + 16 * px : 0, 0,
                ),
              );
            }
          }
          from += 16;
        }
      }
      biases += 64;
    }
  }
}
