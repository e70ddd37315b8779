/**
 * Quantised convolutions of 3x3 and stride 1 by Winograd's algorithm F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308,
 * interpolated at 0, ±1, ±2 and infinity), exact. Filters are multiplied by 24 along both axes less the powers of two and
 * three that the output transform multiplies back in, so that all are integers; the results are 576 times too large, and
 * everything is computed modulo 2^32. A result below 2^25 is then found by multiplying with the inverse of 9 and shifting
 * by 6, whatever overflowed on the way.
 */
import { requantise } from './arithmetic';
import { integerRow } from './tiles';

/** `9 * INVERSE_OF_9 = 1` modulo 2^32. */
const INVERSE_OF_9: i32 = 954437177;

/**
 * The input transform along one axis: six vectors of int16, `step` bytes apart, to six, `targetStep` bytes apart. Both axes
 * together enlarge values by at most 100: from 255 to 25,500.
 */
// @ts-ignore: decorator
@inline
function transformSix(source: usize, step: usize, target: usize, targetStep: usize): void {
  const d0 = v128.load(source), d1 = v128.load(source + step), d2 = v128.load(source + 2 * step);
  const d3 = v128.load(source + 3 * step), d4 = v128.load(source + 4 * step), d5 = v128.load(source + 5 * step);
  const even1 = i16x8.sub(d4, i16x8.shl(d2, 2)), odd1 = i16x8.sub(d3, i16x8.shl(d1, 2));
  const even2 = i16x8.sub(d4, d2), odd2 = i16x8.shl(i16x8.sub(d3, d1), 1);
  v128.store(target, i16x8.add(i16x8.shl(i16x8.sub(d0, d2), 2), even2));
  v128.store(target + targetStep, i16x8.add(even1, odd1));
  v128.store(target + 2 * targetStep, i16x8.sub(even1, odd1));
  v128.store(target + 3 * targetStep, i16x8.add(even2, odd2));
  v128.store(target + 4 * targetStep, i16x8.sub(even2, odd2));
  v128.store(target + 5 * targetStep, i16x8.sub(i16x8.sub(d5, d3), i16x8.shl(odd2, 1)));
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

/** 24 times the output transform along one axis: six vectors of int32 to four. */
// @ts-ignore: decorator
@inline
function inverseSix(source: usize, step: usize, target: usize, targetStep: usize): void {
  const m0 = v128.load(source), m1 = v128.load(source + step), m2 = v128.load(source + 2 * step);
  const m3 = v128.load(source + 3 * step), m4 = v128.load(source + 4 * step), m5 = v128.load(source + 5 * step);
  const sum1 = i32x4.shl(i32x4.add(m1, m2), 2), difference1 = i32x4.shl(i32x4.sub(m2, m1), 2);
  const sum2 = i32x4.add(m3, m4), difference2 = i32x4.shl(i32x4.sub(m3, m4), 1);
  const six = i32x4.add(i32x4.shl(m0, 2), i32x4.shl(m0, 1));
  const twentyFour = i32x4.add(i32x4.shl(m5, 4), i32x4.shl(m5, 3));
  v128.store(target, i32x4.add(i32x4.sub(six, sum1), sum2));
  v128.store(target + targetStep, i32x4.add(difference1, difference2));
  v128.store(target + 2 * targetStep, i32x4.sub(i32x4.shl(sum2, 2), sum1));
  v128.store(target + 3 * targetStep, i32x4.add(i32x4.add(difference1, i32x4.shl(difference2, 2)), twentyFour));
}

/** The sixteen pixels of a tile for four channels; `half` holds 24 vectors. */
// @ts-ignore: decorator
@inline
function inverse(source: usize, step: usize, half: usize, target: usize): void {
  for (let index: usize = 0; index < 6; index++) inverseSix(source + 6 * index * step, step, half + 64 * index, 16);
  for (let index: usize = 0; index < 4; index++) inverseSix(half + 16 * index, 64, target + 16 * index, 64);
}

/** From 576 times a sum below 2^25, modulo 2^32, to the sum. */
// @ts-ignore: decorator
@inline
function divide(value: v128): v128 {
  return i32x4.shr_s(i32x4.mul(value, i32x4.splat(INVERSE_OF_9)), 6);
}

/**
 * Int16 with int32 products. `input` is the address of the pixel above and left of the first; `scratch` holds 1,088 bytes,
 * then the transformed input and the products of `rows` rows of tiles.
 */
export function winogradInteger4(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32, height: i32, width: i32,
  weights: usize, scratch: usize, scratchPlane: usize, rows: i32,
  bias: usize, residual: usize, residualRow: usize, residualPlane: usize, finish: usize,
): void {
  const tilesX = (width + 3) / 4, tilesY = (height + 3) / 4;
  const half = scratch, pixels = scratch + 576, transformed = scratch + 1088;
  const transformedStep = <usize>inputBlocks * scratchPlane;
  const products = transformed + 36 * transformedStep;
  const productStep = <usize>(2 * outputBlocks) * scratchPlane;
  for (let first = 0; first < tilesY; first += rows) {
    const count = min(rows, tilesY - first);
    transformInput(input + 4 * first * inputRow, inputRow, inputPlane, inputBlocks, tilesX, count, half, transformed, scratchPlane);
    let w = weights;
    for (let element = 0; element < 36; element++) {
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
        const y = 4 * (first + ty);
        const insideY = min(4, height - y);
        const to = output + block * outputPlane + y * outputRow;
        const other = residual ? residual + block * residualPlane + y * residualRow : 0;
        for (let x = 0; x < width; x += 4) {
          inverse(from, productStep, half, pixels);
          inverse(from + scratchPlane, productStep, half, pixels + 256);
          const insideX = min(4, width - x);
          for (let line = 0; line < insideY; line++) {
            let at = pixels + 64 * line;
            let q = to + line * outputRow + 16 * x;
            let r = other ? other + line * residualRow + 16 * x : 0;
            for (let pixel = 0; pixel < insideX; pixel++) {
              const a = i32x4.add(divide(v128.load(at)), bias0), b = i32x4.add(divide(v128.load(at, 256)), bias1);
              v128.store(q, requantise(a, b, biases, finish, r, 0));
              at += 16;
              q += 16;
              if (r) r += 16;
            }
          }
          from += 16;
        }
      }
      biases += 64;
    }
  }
}

const zeros = memory.data(64);
