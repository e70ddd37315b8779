/**
 * The arithmetic of `src/preprocess/resizeScalar.ts`, to the same bytes, eight products per instruction. A module of its own,
 * below the 4 KiB that browsers compile synchronously on the main thread.
 */

/** `(sum + 128) >> 8`: from weights of 1/16384 to values in 1/64 of a level. */
const ROUND_ROWS: i32 = 128;
/** Half a level of the second pass's sums, in 1/2^20. */
const HALF: i32 = 1 << 19;

/** Adds two rows of 16 bytes, each times its weight, to four sums of four. */
// @ts-ignore: decorator
@inline
function pairLow(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

// @ts-ignore: decorator
@inline
function pairHigh(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** `length` int16 values: `taps` rows of bytes from `data` on, weighted. Reads and writes up to 15 values further. */
// @ts-ignore: decorator
@inline
function mixRows(data: usize, length: usize, weights: usize, taps: i32, row: usize): void {
  for (let index: usize = 0; index < length; index += 16) {
    let s0 = i32x4.splat(ROUND_ROWS), s1 = s0, s2 = s0, s3 = s0;
    let p = data + index;
    let w = weights;
    for (let tap = 0; tap < taps; tap += 2) {
      const a = v128.load(p);
      // An odd last row has nobody beside it; its neighbour's weight is 0.
      const b = v128.load(tap + 1 < taps ? p + length : p);
      const weight = v128.load32_splat(w);
      const low = pairLow(a, b), high = pairHigh(a, b);
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(low), weight));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(low), weight));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(high), weight));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(high), weight));
      p += 2 * length;
      w += 4;
    }
    const to = row + 2 * index;
    v128.store(to, i16x8.narrow_i32x4_s(i32x4.shr_s(s0, 8), i32x4.shr_s(s1, 8)));
    v128.store(to, i16x8.narrow_i32x4_s(i32x4.shr_s(s2, 8), i32x4.shr_s(s3, 8)), 16);
  }
}

/** One row of colours. Writes one byte too many. */
// @ts-ignore: decorator
@inline
function mixColours(row: usize, first: usize, weights: usize, taps: i32, width: i32, result: usize): void {
  let w = weights;
  for (let x = 0; x < width; x++) {
    let p = row + 6 * load<i32>(first + 4 * x);
    let sum = i32x4.splat(HALF);
    for (let tap = 0; tap < taps; tap += 2) {
      const two = v128.load(p);
      const paired = i8x16.shuffle(two, two, 0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, 4, 5, 10, 11);
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(paired, v128.load32_splat(w)));
      p += 12;
      w += 4;
    }
    const levels = i16x8.narrow_i32x4_s(i32x4.shr_s(sum, 20), sum);
    v128.store32_lane(result, i8x16.narrow_i16x8_u(levels, levels), 0);
    result += 3;
  }
}

/** One row of greys; `taps` is a multiple of eight. */
// @ts-ignore: decorator
@inline
function mixGreys(row: usize, first: usize, weights: usize, taps: i32, width: i32, result: usize): void {
  let w = weights;
  for (let x = 0; x < width; x++) {
    let p = row + 2 * load<i32>(first + 4 * x);
    let sum = i32x4.splat(0);
    for (let tap = 0; tap < taps; tap += 8) {
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.load(p), v128.load(w)));
      p += 16;
      w += 16;
    }
    const total =
      i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
    store<u8>(result + x, min(max((total + HALF) >> 20, 0), 255));
  }
}

/**
 * The filter along both axes: bytes `[rows, length]` to bytes `[height, width, channels]`.
 *
 * @param rowTaps weights per output row; `rowStep` of them are stored for each, an even number
 * @param columnTaps weights per output column, as many as are stored: even for colours, a multiple of eight for greys
 */
export function mix(
  data: usize, length: usize, rowFirst: usize, rowWeights: usize, rowTaps: i32, rowStep: i32, height: i32,
  columnFirst: usize, columnWeights: usize, columnTaps: i32, width: i32, channels: i32, row: usize, result: usize,
): void {
  for (let y = 0; y < height; y++) {
    mixRows(data + <usize>load<i32>(rowFirst + 4 * y) * length, length, rowWeights + 2 * y * rowStep, rowTaps, row);
    if (channels == 3) mixColours(row, columnFirst, columnWeights, columnTaps, width, result);
    else mixGreys(row, columnFirst, columnWeights, columnTaps, width, result);
    result += width * channels;
  }
}

/** Sums of `rows` rows of bytes into `length` 32-bit numbers. Reads and writes up to 15 values further. */
// @ts-ignore: decorator
@inline
function sumRows(data: usize, length: usize, rows: i32, sums: usize): void {
  for (let index: usize = 0; index < length; index += 16) {
    let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let p = data + index;
    for (let done = 0; done < rows; done += 256) {
      // 256 bytes fit into 16 bits.
      let low = i16x8.splat(0), high = low;
      for (let count = min(256, rows - done); count > 0; count--) {
        const bytes = v128.load(p);
        low = i16x8.add(low, i16x8.extend_low_i8x16_u(bytes));
        high = i16x8.add(high, i16x8.extend_high_i8x16_u(bytes));
        p += length;
      }
      s0 = i32x4.add(s0, i32x4.extend_low_i16x8_u(low));
      s1 = i32x4.add(s1, i32x4.extend_high_i16x8_u(low));
      s2 = i32x4.add(s2, i32x4.extend_low_i16x8_u(high));
      s3 = i32x4.add(s3, i32x4.extend_high_i16x8_u(high));
    }
    const to = sums + 4 * index;
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
  }
}

/** One row of averages of `shrinkX` times `rows` pixels, rounded to the nearest. */
export function shrinkRow(
  data: usize, width: i32, channels: i32, rows: i32, shrinkX: i32, sums: usize, result: usize,
): void {
  const length = width * channels;
  sumRows(data, length, rows, sums);
  for (let first = 0; first < width; first += shrinkX) {
    const end = min(first + shrinkX, width);
    const count = <f64>(rows * (end - first));
    for (let channel = 0; channel < channels; channel++) {
      let sum: u64 = 0;
      for (let x = first; x < end; x++) sum += load<u32>(sums + 4 * (x * channels + channel));
      store<u8>(result++, <u8>Math.floor((<f64>sum + count / 2) / count));
    }
  }
}
