/** Arithmetic per value, pooling, and the moves between layouts. A step of 0 repeats a value: broadcasting. */
import { clamp, multiplyAdd } from './arithmetic';

/** `clamp(x * scale + shift)` with one scale and shift per channel. */
export function affine(
  input: usize, inputRow: usize, inputPlane: usize, output: usize, outputRow: usize, outputPlane: usize,
  blocks: i32, height: i32, width: i32, scale: usize, shift: usize, low: f32, high: f32,
): void {
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  for (let block = 0; block < blocks; block++) {
    const scales = v128.load(scale + 16 * block), shifts = v128.load(shift + 16 * block);
    for (let y = 0; y < height; y++) {
      let from = input + block * inputPlane + y * inputRow;
      let to = output + block * outputPlane + y * outputRow;
      for (let x = 0; x < width; x++) {
        v128.store(to, clamp(multiplyAdd(v128.load(from), scales, shifts), lows, highs));
        from += 16;
        to += 16;
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function combine(operation: i32, a: v128, b: v128): v128 {
  if (operation == 0) return f32x4.add(a, b);
  if (operation == 1) return f32x4.sub(a, b);
  if (operation == 2) return f32x4.mul(a, b);
  return f32x4.div(a, b);
}

/** Add (0), subtract (1), multiply (2) or divide (3), then clamp. */
export function binary(
  operation: i32, a: usize, aRow: usize, aPlane: usize, aStep: usize, b: usize, bRow: usize, bPlane: usize, bStep: usize,
  output: usize, outputRow: usize, outputPlane: usize, blocks: i32, height: i32, width: i32, low: f32, high: f32,
): void {
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  for (let block = 0; block < blocks; block++) {
    for (let y = 0; y < height; y++) {
      let p = a + block * aPlane + y * aRow;
      let q = b + block * bPlane + y * bRow;
      let to = output + block * outputPlane + y * outputRow;
      for (let x = 0; x < width; x++) {
        v128.store(to, clamp(combine(operation, v128.load(p), v128.load(q)), lows, highs));
        p += aStep;
        q += bStep;
        to += 16;
      }
    }
  }
}

/** The largest value (`average` 0), or the mean over the pixels inside (1) or over the whole window (2). */
export function pool(
  average: i32, input: usize, inputRow: usize, inputPlane: usize, inputHeight: i32, inputWidth: i32,
  output: usize, outputRow: usize, outputPlane: usize, blocks: i32, height: i32, width: i32,
  kernelHeight: i32, kernelWidth: i32, stride: i32, top: i32, left: i32,
): void {
  for (let block = 0; block < blocks; block++) {
    for (let y = 0; y < height; y++) {
      const firstY = max(y * stride - top, 0), endY = min(y * stride - top + kernelHeight, inputHeight);
      let to = output + block * outputPlane + y * outputRow;
      for (let x = 0; x < width; x++) {
        const firstX = max(x * stride - left, 0), endX = min(x * stride - left + kernelWidth, inputWidth);
        let result = f32x4.splat(average ? 0 : -Infinity);
        for (let v = firstY; v < endY; v++) {
          let from = input + block * inputPlane + v * inputRow + 16 * firstX;
          for (let u = firstX; u < endX; u++) {
            result = average ? f32x4.add(result, v128.load(from)) : f32x4.pmax(result, v128.load(from));
            from += 16;
          }
        }
        if (average) {
          const count = average == 2 ? kernelHeight * kernelWidth : (endY - firstY) * (endX - firstX);
          result = f32x4.div(result, f32x4.splat(<f32>count));
        }
        v128.store(to, result);
        to += 16;
      }
    }
  }
}

/** Writes zeros on the border of `top`, `left`, `bottom` and `right` pixels around `height` times `width`. */
export function clearBorder(
  output: usize, row: usize, plane: usize, blocks: i32, height: i32, width: i32,
  top: i32, left: i32, bottom: i32, right: i32,
): void {
  for (let block = 0; block < blocks; block++) {
    const start = output + block * plane - 16 * left;
    if (top) memory.fill(start - top * row, 0, top * row);
    if (bottom) memory.fill(start + height * row, 0, bottom * row);
    for (let y = 0; y < height; y++) {
      if (left) memory.fill(start + y * row, 0, 16 * left);
      if (right) memory.fill(start + y * row + 16 * (left + width), 0, 16 * right);
    }
  }
}

/** Copies blocks whole. */
export function copyBlocks(
  input: usize, inputRow: usize, inputPlane: usize, output: usize, outputRow: usize, outputPlane: usize,
  blocks: i32, height: i32, width: i32,
): void {
  for (let block = 0; block < blocks; block++) {
    for (let y = 0; y < height; y++) {
      memory.copy(output + block * outputPlane + y * outputRow, input + block * inputPlane + y * inputRow, 16 * width);
    }
  }
}

/** Copies one channel, of 4 bytes (float32) or 2 (int16), from its place in one block to its place in another. */
export function copyChannel(
  input: usize, inputRow: usize, inputStep: usize, output: usize, outputRow: usize, outputStep: usize, height: i32, width: i32, bytes: i32,
): void {
  for (let y = 0; y < height; y++) {
    let from = input + y * inputRow;
    let to = output + y * outputRow;
    if (bytes == 4) {
      for (let x = 0; x < width; x++) {
        store<u32>(to, load<u32>(from));
        from += inputStep;
        to += outputStep;
      }
    } else {
      for (let x = 0; x < width; x++) {
        store<u16>(to, load<u16>(from));
        from += inputStep;
        to += outputStep;
      }
    }
  }
}

/** Float32 to int16: `clamp(round(x / scale))`. Two blocks of four channels become one of eight; the last may lack its second. */
export function quantise(
  input: usize, inputRow: usize, inputPlane: usize, inputBlocks: i32, output: usize, outputRow: usize, outputPlane: usize,
  height: i32, width: i32, scale: f32, low: f32, high: f32,
): void {
  const scales = f32x4.splat(scale), lows = f32x4.splat(low), highs = f32x4.splat(high);
  for (let block = 0; block < inputBlocks; block += 2) {
    const both = block + 1 < inputBlocks;
    for (let y = 0; y < height; y++) {
      let from = input + block * inputPlane + y * inputRow;
      let to = output + (block >> 1) * outputPlane + y * outputRow;
      for (let x = 0; x < width; x++) {
        const a = clamp(f32x4.nearest(f32x4.div(v128.load(from), scales)), lows, highs);
        const b = both ? clamp(f32x4.nearest(f32x4.div(v128.load(from + inputPlane), scales)), lows, highs) : f32x4.splat(0);
        v128.store(to, i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(a), i32x4.trunc_sat_f32x4_s(b)));
        from += 16;
        to += 16;
      }
    }
  }
}

/** Int16 to float32: `x * scale`. */
export function dequantise(
  input: usize, inputRow: usize, inputPlane: usize, output: usize, outputRow: usize, outputPlane: usize, outputBlocks: i32,
  height: i32, width: i32, scale: f32,
): void {
  const scales = f32x4.splat(scale);
  for (let block = 0; block < outputBlocks; block++) {
    for (let y = 0; y < height; y++) {
      let from = input + (block >> 1) * inputPlane + y * inputRow + 8 * (block & 1);
      let to = output + block * outputPlane + y * outputRow;
      for (let x = 0; x < width; x++) {
        v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(v128.load16x4_s(from)), scales));
        from += 16;
        to += 16;
      }
    }
  }
}

/** Int32 sums to float32 with one scale per channel, clamped. */
export function scaleSums(
  input: usize, inputRow: usize, inputPlane: usize, output: usize, outputRow: usize, outputPlane: usize, blocks: i32,
  height: i32, width: i32, scale: usize, low: f32, high: f32,
): void {
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  for (let block = 0; block < blocks; block++) {
    const scales = v128.load(scale + 16 * block);
    for (let y = 0; y < height; y++) {
      let from = input + block * inputPlane + y * inputRow;
      let to = output + block * outputPlane + y * outputRow;
      for (let x = 0; x < width; x++) {
        v128.store(to, clamp(f32x4.mul(f32x4.convert_i32x4_s(v128.load(from)), scales), lows, highs));
        from += 16;
        to += 16;
      }
    }
  }
}

/** `clamp(round(a * factorA + b * factorB))` of int16 values, with one clamp at the scale of the output. */
export function addInteger(
  a: usize, aRow: usize, aPlane: usize, b: usize, bRow: usize, bPlane: usize, output: usize, outputRow: usize, outputPlane: usize,
  blocks: i32, height: i32, width: i32, factorA: f32, factorB: f32, low: f32, high: f32,
): void {
  const lows = f32x4.splat(low), highs = f32x4.splat(high), ours = f32x4.splat(factorA), theirs = f32x4.splat(factorB);
  for (let block = 0; block < blocks; block++) {
    for (let y = 0; y < height; y++) {
      let p = a + block * aPlane + y * aRow;
      let q = b + block * bPlane + y * bRow;
      let to = output + block * outputPlane + y * outputRow;
      for (let x = 0; x < width; x++) {
        const one = v128.load(p), two = v128.load(q);
        const first = f32x4.add(
          f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(one)), ours),
          f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(two)), theirs),
        );
        const second = f32x4.add(
          f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(one)), ours),
          f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(two)), theirs),
        );
        v128.store(to, i16x8.narrow_i32x4_s(
          i32x4.trunc_sat_f32x4_s(clamp(f32x4.nearest(first), lows, highs)),
          i32x4.trunc_sat_f32x4_s(clamp(f32x4.nearest(second), lows, highs)),
        ));
        p += 16;
        q += 16;
        to += 16;
      }
    }
  }
}
