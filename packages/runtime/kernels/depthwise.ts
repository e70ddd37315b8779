/** Convolutions with one filter per channel: the channels of a block lie side by side in one vector. */
import { clamp, dotAdd, multiplyAdd, requantise } from './arithmetic';

/** Float32; weights `[block][kernel row][kernel column][4]`. */
export function depthwiseFloat(
  input: usize, inputRow: usize, inputPlane: usize, blocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, height: i32, width: i32,
  weights: usize, kernelHeight: i32, kernelWidth: i32, stride: i32, dilation: i32,
  bias: usize, low: f32, high: f32,
): void {
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  const pixelStep = <usize>(16 * stride), columnStep = <usize>(16 * dilation), rowStep = dilation * inputRow;
  const close = kernelWidth == 3 && stride == 1 && dilation == 1;
  for (let block = 0; block < blocks; block++) {
    const initial = v128.load(bias);
    for (let y = 0; y < height; y++) {
      let from = input + y * stride * inputRow;
      let to = output + y * outputRow;
      let x = 0;
      for (; x + 4 <= width; x += 4) {
        let a = initial, b = initial, c = initial, d = initial;
        let w = weights;
        let row = from;
        for (let ky = kernelHeight; ky > 0; ky--) {
          if (close) {
            // Three taps of four neighbours read six pixels.
            const w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32);
            const p0 = v128.load(row), p1 = v128.load(row, 16), p2 = v128.load(row, 32);
            const p3 = v128.load(row, 48), p4 = v128.load(row, 64), p5 = v128.load(row, 80);
            a = multiplyAdd(p2, w2, multiplyAdd(p1, w1, multiplyAdd(p0, w0, a)));
            b = multiplyAdd(p3, w2, multiplyAdd(p2, w1, multiplyAdd(p1, w0, b)));
            c = multiplyAdd(p4, w2, multiplyAdd(p3, w1, multiplyAdd(p2, w0, c)));
            d = multiplyAdd(p5, w2, multiplyAdd(p4, w1, multiplyAdd(p3, w0, d)));
            w += 48;
          } else {
            let p = row;
            for (let kx = kernelWidth; kx > 0; kx--) {
              const weight = v128.load(w);
              a = multiplyAdd(v128.load(p), weight, a);
              b = multiplyAdd(v128.load(p + pixelStep), weight, b);
              c = multiplyAdd(v128.load(p + 2 * pixelStep), weight, c);
              d = multiplyAdd(v128.load(p + 3 * pixelStep), weight, d);
              p += columnStep;
              w += 16;
            }
          }
          row += rowStep;
        }
        v128.store(to, clamp(a, lows, highs));
        v128.store(to, clamp(b, lows, highs), 16);
        v128.store(to, clamp(c, lows, highs), 32);
        v128.store(to, clamp(d, lows, highs), 48);
        from += 4 * pixelStep;
        to += 64;
      }
      for (; x < width; x++) {
        let sum = initial;
        let w = weights;
        let row = from;
        for (let ky = kernelHeight; ky > 0; ky--) {
          let p = row;
          for (let kx = kernelWidth; kx > 0; kx--) {
            sum = multiplyAdd(v128.load(p), v128.load(w), sum);
            p += columnStep;
            w += 16;
          }
          row += rowStep;
        }
        v128.store(to, clamp(sum, lows, highs));
        from += pixelStep;
        to += 16;
      }
    }
    input += inputPlane;
    output += outputPlane;
    weights += 16 * kernelHeight * kernelWidth;
    bias += 16;
  }
}

/** Distances from the first tap to every other, an even number of them: the last may be there twice. */
const offsets = memory.data(4 * 256);

/**
 * Int16 with int32 sums, two taps at a time: weights `[block][pair of taps][8 channels][2]`, with zero for a tap that is
 * missing; at most 255 taps. `bias` and `finish` as in `requantise`.
 */
export function depthwiseInteger(
  input: usize, inputRow: usize, inputPlane: usize, blocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, height: i32, width: i32,
  weights: usize, kernelHeight: i32, kernelWidth: i32, stride: i32, dilation: i32,
  bias: usize, finish: usize,
): void {
  const pixelStep = <usize>(16 * stride);
  const taps = kernelHeight * kernelWidth;
  const pairs = (taps + 1) / 2;
  let last: i32 = 0;
  for (let tap = 0; tap < 2 * pairs; tap++) {
    if (tap < taps) last = (tap / kernelWidth) * dilation * inputRow + (tap % kernelWidth) * dilation * 16;
    store<i32>(offsets + 4 * tap, last);
  }
  const end = offsets + 8 * pairs;
  for (let block = 0; block < blocks; block++) {
    const bias0 = v128.load(bias), bias1 = v128.load(bias, 16);
    for (let y = 0; y < height; y++) {
      let from = input + y * stride * inputRow;
      let to = output + y * outputRow;
      let x = 0;
      for (; x + 2 <= width; x += 2) {
        let a = bias0, b = bias1, c = bias0, d = bias1;
        let w = weights;
        for (let pair = offsets; pair < end; pair += 8) {
          const low = v128.load(w), high = v128.load(w, 16);
          const p = from + load<i32>(pair), q = from + load<i32>(pair, 4);
          const one = v128.load(p), two = v128.load(q);
          a = dotAdd(lowPairs(one, two), low, a);
          b = dotAdd(highPairs(one, two), high, b);
          const three = v128.load(p + pixelStep), four = v128.load(q + pixelStep);
          c = dotAdd(lowPairs(three, four), low, c);
          d = dotAdd(highPairs(three, four), high, d);
          w += 32;
        }
        v128.store(to, requantise(a, b, bias, finish, 0, 0));
        v128.store(to, requantise(c, d, bias, finish, 0, 0), 16);
        from += 2 * pixelStep;
        to += 32;
      }
      if (x < width) {
        let a = bias0, b = bias1;
        let w = weights;
        for (let pair = offsets; pair < end; pair += 8) {
          const one = v128.load(from + load<i32>(pair)), two = v128.load(from + load<i32>(pair, 4));
          a = dotAdd(lowPairs(one, two), v128.load(w), a);
          b = dotAdd(highPairs(one, two), v128.load(w, 16), b);
          w += 32;
        }
        v128.store(to, requantise(a, b, bias, finish, 0, 0));
      }
    }
    input += inputPlane;
    output += outputPlane;
    weights += 32 * pairs;
    bias += 64;
  }
}

/** The first four int16 of two vectors, in pairs. */
// @ts-ignore: decorator
@inline
function lowPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

/** The last four. */
// @ts-ignore: decorator
@inline
function highPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
