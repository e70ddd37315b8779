/**
 * Convolutions of 3x3 and stride 1 by Winograd's algorithm F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308): 36 products in
 * place of 144 for sixteen output pixels. Interpolation is at 0, ±5/8, ±3/2 and infinity, which loses about half as much
 * to rounding as the paper's 0, ±1, ±2 (Barabasz et al., arXiv 1803.10986, on the choice of points).
 */
import { clamp } from './arithmetic';
import { floatRow } from './tiles';

/** The points and their squares; all are exact in float32. */
const A: f32 = 0.625, A2: f32 = 0.390625;
const B: f32 = 1.5, B2: f32 = 2.25;
const A3: f32 = 0.244140625, B3: f32 = 3.375;

// @ts-ignore: decorator
@inline
function times(value: v128, factor: f32): v128 {
  return f32x4.mul(value, f32x4.splat(factor));
}

/** The input transform along one axis: six vectors, `step` bytes apart, to six, `targetStep` bytes apart. */
// @ts-ignore: decorator
@inline
function transformSix(source: usize, step: usize, target: usize, targetStep: usize): void {
  const d0 = v128.load(source), d1 = v128.load(source + step), d2 = v128.load(source + 2 * step);
  const d3 = v128.load(source + 3 * step), d4 = v128.load(source + 4 * step), d5 = v128.load(source + 5 * step);
  const evenA = f32x4.sub(d4, times(d2, B2)), oddA = times(f32x4.sub(d3, times(d1, B2)), A);
  const evenB = f32x4.sub(d4, times(d2, A2)), oddB = times(f32x4.sub(d3, times(d1, A2)), B);
  v128.store(target, f32x4.add(evenA, times(f32x4.sub(times(d0, B2), d2), A2)));
  v128.store(target + targetStep, f32x4.add(evenA, oddA));
  v128.store(target + 2 * targetStep, f32x4.sub(evenA, oddA));
  v128.store(target + 3 * targetStep, f32x4.add(evenB, oddB));
  v128.store(target + 4 * targetStep, f32x4.sub(evenB, oddB));
  v128.store(target + 5 * targetStep, f32x4.add(f32x4.sub(d5, times(d3, B2)), times(f32x4.sub(times(d1, B2), d3), A2)));
}

/** Tiles of 6x6 pixels, four apart; `half` holds 36 vectors. */
function transformInput(
  input: usize, row: usize, plane: usize, blocks: i32, tilesX: i32, tilesY: i32,
  half: usize, target: usize, targetPlane: usize,
): void {
  const step = <usize>blocks * targetPlane;
  for (let block = 0; block < blocks; block++) {
    let to = target + block * targetPlane;
    for (let y = 0; y < tilesY; y++) {
      let from = input + block * plane + 4 * y * row;
      for (let x = 0; x < tilesX; x++) {
        for (let index: usize = 0; index < 6; index++) transformSix(from + index * row, 16, half + 96 * index, 16);
        for (let index: usize = 0; index < 6; index++) transformSix(half + 16 * index, 96, to + index * step, 6 * step);
        from += 64;
        to += 16;
      }
    }
  }
}

/** The output transform along one axis: six vectors to four. */
// @ts-ignore: decorator
@inline
function inverseSix(source: usize, step: usize, target: usize, targetStep: usize): void {
  const m0 = v128.load(source), m1 = v128.load(source + step), m2 = v128.load(source + 2 * step);
  const m3 = v128.load(source + 3 * step), m4 = v128.load(source + 4 * step), m5 = v128.load(source + 5 * step);
  const sumA = f32x4.add(m1, m2), differenceA = f32x4.sub(m1, m2);
  const sumB = f32x4.add(m3, m4), differenceB = f32x4.sub(m3, m4);
  v128.store(target, f32x4.add(m0, f32x4.add(sumA, sumB)));
  v128.store(target + targetStep, f32x4.add(times(differenceA, A), times(differenceB, B)));
  v128.store(target + 2 * targetStep, f32x4.add(times(sumA, A2), times(sumB, B2)));
  v128.store(target + 3 * targetStep, f32x4.add(m5, f32x4.add(times(differenceA, A3), times(differenceB, B3))));
}

/** The four pixels of one row of a tile, of which `count` are inside of the image. */
// @ts-ignore: decorator
@inline
function finishRow(pixels: usize, to: usize, other: usize, count: i32, bias: v128, low: v128, high: v128): void {
  for (let pixel = 0; pixel < count; pixel++) {
    let value = f32x4.add(v128.load(pixels), bias);
    if (other) {
      value = f32x4.add(value, v128.load(other));
      other += 16;
    }
    v128.store(to, clamp(value, low, high));
    pixels += 16;
    to += 16;
  }
}

/**
 * Float32. `input` is the address of the pixel above and left of the first; `scratch` holds 832 bytes, then the transformed
 * input and the products of `rows` rows of tiles.
 */
export function winogradFloat4(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, low: f32, high: f32,
): void {
  const tilesX = (width + 3) / 4, tilesY = (height + 3) / 4;
  const pairs = (outputBlocks + 1) / 2;
  const half = scratch, pixels = scratch + 576, transformed = scratch + 832;
  const transformedStep = <usize>inputBlocks * scratchPlane;
  const products = transformed + 36 * transformedStep;
  const productStep = <usize>(2 * pairs) * scratchPlane;
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  const noLow = f32x4.splat(-Infinity), noHigh = f32x4.splat(Infinity);
  for (let first = 0; first < tilesY; first += rows) {
    const count = min(rows, tilesY - first);
    transformInput(input + 4 * first * inputRow, inputRow, inputPlane, inputBlocks, tilesX, count, half, transformed, scratchPlane);
    let w = weights;
    for (let element = 0; element < 36; element++) {
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
        const y = 4 * (first + ty);
        const inside = min(4, height - y);
        let to = output + block * outputPlane + y * outputRow;
        let other = residual ? residual + block * residualPlane + y * residualRow : 0;
        for (let x = 0; x < width; x += 4) {
          // Rows first: six of six products to six of four.
          for (let index: usize = 0; index < 6; index++)
            inverseSix(from + 6 * index * productStep, productStep, half + 64 * index, 16);
          // Then columns, whose four results lie one below the other.
          for (let index: usize = 0; index < 4; index++) inverseSix(half + 16 * index, 64, pixels + 16 * index, 64);
          for (let line = 0; line < inside; line++) {
            finishRow(
              pixels + 64 * line, to + line * outputRow, other ? other + line * residualRow : 0,
              min(4, width - x), biases, lows, highs,
            );
          }
          from += 16;
          to += 64;
          if (other) other += 64;
        }
      }
    }
  }
}

const zeros = memory.data(64);
