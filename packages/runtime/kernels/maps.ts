/** What segmenters and detectors need besides: maps brought to another size, sums of each channel, and hard-swish. */
import { clamp, multiplyAdd } from './arithmetic';

/**
 * Brings a map to another size. `rows` and `columns` say for each new place which two of the old ones it lies between and the
 * share of the second: two int32 and a float32 each, 12 bytes.
 */
export function interpolate(
  input: usize, inputRow: usize, inputPlane: usize, output: usize, outputRow: usize, outputPlane: usize,
  blocks: i32, height: i32, width: i32, rows: usize, columns: usize,
): void {
  for (let block = 0; block < blocks; block++) {
    const from = input + block * inputPlane;
    for (let y = 0; y < height; y++) {
      const row = rows + 12 * y;
      const first = from + load<i32>(row) * inputRow, second = from + load<i32>(row, 4) * inputRow;
      const down = f32x4.splat(load<f32>(row, 8));
      let to = output + block * outputPlane + y * outputRow;
      let column = columns;
      for (let x = 0; x < width; x++) {
        const left = 16 * load<i32>(column), right = 16 * load<i32>(column, 4);
        const across = f32x4.splat(load<f32>(column, 8));
        const a = v128.load(first + left), b = v128.load(second + left);
        const above = multiplyAdd(f32x4.sub(v128.load(first + right), a), across, a);
        const below = multiplyAdd(f32x4.sub(v128.load(second + right), b), across, b);
        v128.store(to, multiplyAdd(f32x4.sub(below, above), down, above));
        column += 12;
        to += 16;
      }
    }
  }
}

/** Sums over all pixels of `x - centre`, or of its square, with one centre and one sum per channel. */
export function channelSums(
  input: usize, inputRow: usize, inputPlane: usize, blocks: i32, height: i32, width: i32,
  centre: usize, square: i32, output: usize,
): void {
  for (let block = 0; block < blocks; block++) {
    const centres = v128.load(centre + 16 * block);
    let sum = f32x4.splat(0);
    for (let y = 0; y < height; y++) {
      let from = input + block * inputPlane + y * inputRow;
      let own = f32x4.splat(0);
      for (let x = 0; x < width; x++) {
        const value = f32x4.sub(v128.load(from), centres);
        own = square ? multiplyAdd(value, value, own) : f32x4.add(own, value);
        from += 16;
      }
      sum = f32x4.add(sum, own);
    }
    v128.store(output + 16 * block, sum);
  }
}

/** `x * clamp(x / 6 + 1 / 2, 0, 1)`. */
export function hardSwish(
  input: usize, inputRow: usize, inputPlane: usize, output: usize, outputRow: usize, outputPlane: usize,
  blocks: i32, height: i32, width: i32,
): void {
  const sixth = f32x4.splat(1.0 / 6.0), half = f32x4.splat(0.5), zero = f32x4.splat(0), one = f32x4.splat(1);
  for (let block = 0; block < blocks; block++) {
    for (let y = 0; y < height; y++) {
      let from = input + block * inputPlane + y * inputRow;
      let to = output + block * outputPlane + y * outputRow;
      for (let x = 0; x < width; x++) {
        const value = v128.load(from);
        v128.store(to, f32x4.mul(value, clamp(multiplyAdd(value, sixth, half), zero, one)));
        from += 16;
        to += 16;
      }
    }
  }
}
