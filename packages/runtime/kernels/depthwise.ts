/** Convolutions with one filter per channel: the channels of a block lie side by side in one vector. */
import { clamp, multiplyAdd, requantise } from './arithmetic';

/** Float32; weights `[block][kernel row][kernel column][4]`. */
export function depthwiseFloat(
  input: usize, inputRow: usize, inputPlane: usize, blocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, height: i32, width: i32,
  weights: usize, kernelHeight: i32, kernelWidth: i32, stride: i32, dilation: i32,
  bias: usize, low: f32, high: f32,
): void {
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  const pixelStep = <usize>(16 * stride);
  for (let block = 0; block < blocks; block++) {
    const initial = v128.load(bias);
    for (let y = 0; y < height; y++) {
      let from = input + y * stride * inputRow;
      let to = output + y * outputRow;
      let x = 0;
      for (; x + 4 <= width; x += 4) {
        let a = initial, b = initial, c = initial, d = initial;
        let w = weights;
        for (let ky = 0; ky < kernelHeight; ky++) {
          let p = from + ky * dilation * inputRow;
          for (let kx = 0; kx < kernelWidth; kx++) {
            const weight = v128.load(w);
            a = multiplyAdd(v128.load(p), weight, a);
            b = multiplyAdd(v128.load(p + pixelStep), weight, b);
            c = multiplyAdd(v128.load(p + 2 * pixelStep), weight, c);
            d = multiplyAdd(v128.load(p + 3 * pixelStep), weight, d);
            p += 16 * dilation;
            w += 16;
          }
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
        for (let ky = 0; ky < kernelHeight; ky++) {
          let p = from + ky * dilation * inputRow;
          for (let kx = 0; kx < kernelWidth; kx++) {
            sum = multiplyAdd(v128.load(p), v128.load(w), sum);
            p += 16 * dilation;
            w += 16;
          }
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

/** Int16 with int32 sums; weights `[block][kernel row][kernel column][8]`; `bias` and `finish` as in `requantise`. */
export function depthwiseInteger(
  input: usize, inputRow: usize, inputPlane: usize, blocks: i32,
  output: usize, outputRow: usize, outputPlane: usize, height: i32, width: i32,
  weights: usize, kernelHeight: i32, kernelWidth: i32, stride: i32, dilation: i32,
  bias: usize, finish: usize,
): void {
  const pixelStep = <usize>(16 * stride);
  for (let block = 0; block < blocks; block++) {
    const bias0 = v128.load(bias), bias1 = v128.load(bias, 16);
    for (let y = 0; y < height; y++) {
      let from = input + y * stride * inputRow;
      let to = output + y * outputRow;
      let x = 0;
      for (; x + 2 <= width; x += 2) {
        let a = bias0, b = bias1, c = bias0, d = bias1;
        let w = weights;
        for (let ky = 0; ky < kernelHeight; ky++) {
          let p = from + ky * dilation * inputRow;
          for (let kx = 0; kx < kernelWidth; kx++) {
            const weight = v128.load(w), one = v128.load(p), two = v128.load(p + pixelStep);
            a = i32x4.add(a, i32x4.extmul_low_i16x8_s(one, weight));
            b = i32x4.add(b, i32x4.extmul_high_i16x8_s(one, weight));
            c = i32x4.add(c, i32x4.extmul_low_i16x8_s(two, weight));
            d = i32x4.add(d, i32x4.extmul_high_i16x8_s(two, weight));
            p += 16 * dilation;
            w += 16;
          }
        }
        v128.store(to, requantise(a, b, bias, finish, 0, 0));
        v128.store(to, requantise(c, d, bias, finish, 0, 0), 16);
        from += 2 * pixelStep;
        to += 32;
      }
      if (x < width) {
        let a = bias0, b = bias1;
        let w = weights;
        for (let ky = 0; ky < kernelHeight; ky++) {
          let p = from + ky * dilation * inputRow;
          for (let kx = 0; kx < kernelWidth; kx++) {
            const weight = v128.load(w), one = v128.load(p);
            a = i32x4.add(a, i32x4.extmul_low_i16x8_s(one, weight));
            b = i32x4.add(b, i32x4.extmul_high_i16x8_s(one, weight));
            p += 16 * dilation;
            w += 16;
          }
        }
        v128.store(to, requantise(a, b, bias, finish, 0, 0));
      }
    }
    input += inputPlane;
    output += outputPlane;
    weights += 16 * kernelHeight * kernelWidth;
    bias += 64;
  }
}
