/**
 * Transforms of Winograd's algorithm along one axis (Lavin and Gray, arXiv 1509.09308, equation 5), in float32 (`f32`) and
 * in integers (`i16` before the products, `i32` after them). Vectors lie `step` bytes apart.
 *
 * F(2x2, 3x3) interpolates at 0, ±1 and infinity. F(4x4, 3x3) in float32 at 0, ±5/8, ±3/2 and infinity, which loses about
 * half as much to rounding as the paper's 0, ±1, ±2 (Barabasz et al., arXiv 1803.10986, on the choice of points). Integers
 * keep the paper's points and stay exact: filters are multiplied by 24 along both axes, the last row by 12, which
 * `inverseSix` doubles.
 */

/** The points and their squares and cubes; all are exact in float32. */
const A: f32 = 0.625, A2: f32 = 0.390625, A3: f32 = 0.244140625;
const B: f32 = 1.5, B2: f32 = 2.25, B3: f32 = 3.375;

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

// @ts-ignore: decorator
@inline
function times(value: v128, factor: f32): v128 {
  return f32x4.mul(value, f32x4.splat(factor));
}

/** The input transform of F(2x2, 3x3): four vectors to four. */
// @ts-ignore: decorator
@inline
export function transformFour<T>(source: usize, step: usize, target: usize, targetStep: usize): void {
  const d0 = v128.load(source), d1 = v128.load(source + step);
  const d2 = v128.load(source + 2 * step), d3 = v128.load(source + 3 * step);
  v128.store(target, minus<T>(d0, d2));
  v128.store(target + targetStep, plus<T>(d1, d2));
  v128.store(target + 2 * targetStep, minus<T>(d2, d1));
  v128.store(target + 3 * targetStep, minus<T>(d1, d3));
}

/** The output transform of F(2x2, 3x3): four vectors to two. */
// @ts-ignore: decorator
@inline
export function inverseFour<T>(source: usize, step: usize, target: usize, targetStep: usize): void {
  const m0 = v128.load(source), m1 = v128.load(source + step);
  const m2 = v128.load(source + 2 * step), m3 = v128.load(source + 3 * step);
  v128.store(target, plus<T>(plus<T>(m0, m1), m2));
  v128.store(target + targetStep, minus<T>(minus<T>(m1, m2), m3));
}

/**
 * The input transform of F(4x4, 3x3): six vectors to six. Both axes together enlarge integers by at most 100: from 255 to
 * 25,500.
 */
// @ts-ignore: decorator
@inline
export function transformSix<T>(source: usize, step: usize, target: usize, targetStep: usize): void {
  const d0 = v128.load(source), d1 = v128.load(source + step), d2 = v128.load(source + 2 * step);
  const d3 = v128.load(source + 3 * step), d4 = v128.load(source + 4 * step), d5 = v128.load(source + 5 * step);
  let even1: v128, odd1: v128, even2: v128, odd2: v128, first: v128, last: v128;
  if (isFloat<T>()) {
    even1 = f32x4.sub(d4, times(d2, B2)), odd1 = times(f32x4.sub(d3, times(d1, B2)), A);
    even2 = f32x4.sub(d4, times(d2, A2)), odd2 = times(f32x4.sub(d3, times(d1, A2)), B);
    first = f32x4.add(even1, times(f32x4.sub(times(d0, B2), d2), A2));
    last = f32x4.add(f32x4.sub(d5, times(d3, B2)), times(f32x4.sub(times(d1, B2), d3), A2));
  } else {
    even1 = i16x8.sub(d4, i16x8.shl(d2, 2)), odd1 = i16x8.sub(d3, i16x8.shl(d1, 2));
    even2 = i16x8.sub(d4, d2), odd2 = i16x8.shl(i16x8.sub(d3, d1), 1);
    first = i16x8.add(i16x8.shl(i16x8.sub(d0, d2), 2), even2);
    last = i16x8.sub(i16x8.sub(d5, d3), i16x8.shl(odd2, 1));
  }
  v128.store(target, first);
  v128.store(target + targetStep, plus<T>(even1, odd1));
  v128.store(target + 2 * targetStep, minus<T>(even1, odd1));
  v128.store(target + 3 * targetStep, plus<T>(even2, odd2));
  v128.store(target + 4 * targetStep, minus<T>(even2, odd2));
  v128.store(target + 5 * targetStep, last);
}

/** The output transform of F(4x4, 3x3): six vectors to four; in integers 24 times as large. */
// @ts-ignore: decorator
@inline
export function inverseSix<T>(source: usize, step: usize, target: usize, targetStep: usize): void {
  const m0 = v128.load(source), m1 = v128.load(source + step), m2 = v128.load(source + 2 * step);
  const m3 = v128.load(source + 3 * step), m4 = v128.load(source + 4 * step), m5 = v128.load(source + 5 * step);
  const sumA = plus<T>(m1, m2), differenceA = minus<T>(m1, m2);
  const sumB = plus<T>(m3, m4), differenceB = minus<T>(m3, m4);
  let r0: v128, r1: v128, r2: v128, r3: v128;
  if (isFloat<T>()) {
    r0 = f32x4.add(m0, f32x4.add(sumA, sumB));
    r1 = f32x4.add(times(differenceA, A), times(differenceB, B));
    r2 = f32x4.add(times(sumA, A2), times(sumB, B2));
    r3 = f32x4.add(m5, f32x4.add(times(differenceA, A3), times(differenceB, B3)));
  } else {
    r0 = i32x4.add(m0, i32x4.add(sumA, sumB));
    r1 = i32x4.add(differenceA, i32x4.shl(differenceB, 1));
    r2 = i32x4.add(sumA, i32x4.shl(sumB, 2));
    r3 = i32x4.add(i32x4.add(differenceA, i32x4.shl(differenceB, 3)), i32x4.shl(m5, 1));
  }
  v128.store(target, r0);
  v128.store(target + targetStep, r1);
  v128.store(target + 2 * targetStep, r2);
  v128.store(target + 3 * targetStep, r3);
}
