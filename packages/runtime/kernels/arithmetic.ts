/** Operations on one vector that every kernel shares. */

/**
 * `x * y + sum` in float32. The two instructions stand for others, which `src/wasm/variants.ts` puts in their place: a product
 * and a sum, or one fused instruction where the engine has relaxed SIMD. Nothing else may use them.
 */
// @ts-ignore: decorator
@inline
export function multiplyAdd(x: v128, y: v128, sum: v128): v128 {
  return f64x2.sub(f64x2.div(x, y), sum);
}

/** Adds the products of neighbouring int16 pairs to four int32 sums. */
// @ts-ignore: decorator
@inline
export function dotAdd(x: v128, y: v128, sum: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(x, y));
}

// @ts-ignore: decorator
@inline
export function clamp(value: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(high, f32x4.pmax(low, value));
}

/**
 * Eight int32 sums to int16 at the scale of the output. At `finish` stand, four float32 each: low and high of the
 * convolution; low and high of the output; factor of the convolution and of the residual. At `bias` stand the eight
 * biases and then the eight factors that bring a sum to the scale of the convolution.
 */
/** Float32 integers of less than 2^22 to int16; added to a number of this size, they lie in the last bits. */
// @ts-ignore: decorator
@inline
function narrow(a: v128, b: v128): v128 {
  const offset = f32x4.splat(12582912), bits = i32x4.splat(0x4b400000);
  return i16x8.narrow_i32x4_s(i32x4.sub(f32x4.add(a, offset), bits), i32x4.sub(f32x4.add(b, offset), bits));
}

// @ts-ignore: decorator
@inline
export function requantise(a: v128, b: v128, bias: usize, finish: usize, residual: usize, offset: usize): v128 {
  const low = v128.load(finish), high = v128.load(finish, 16);
  let first = clamp(f32x4.mul(f32x4.convert_i32x4_s(a), v128.load(bias, 32)), low, high);
  let second = clamp(f32x4.mul(f32x4.convert_i32x4_s(b), v128.load(bias, 48)), low, high);
  if (residual) {
    const other = v128.load(residual + offset);
    const ours = v128.load(finish, 64), theirs = v128.load(finish, 80);
    first = sumAtScale(f32x4.nearest(first), i32x4.extend_low_i16x8_s(other), ours, theirs, finish);
    second = sumAtScale(f32x4.nearest(second), i32x4.extend_high_i16x8_s(other), ours, theirs, finish);
  }
  return narrow(first, second);
}

// @ts-ignore: decorator
@inline
function sumAtScale(value: v128, other: v128, ours: v128, theirs: v128, finish: usize): v128 {
  const sum = f32x4.add(f32x4.mul(value, ours), f32x4.mul(f32x4.convert_i32x4_s(other), theirs));
  return clamp(sum, v128.load(finish, 32), v128.load(finish, 48));
}
