/** Half-precision numbers (IEEE 754 binary16) to and from JavaScript's, since Node 20 has no array of them. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The nearest half-precision numbers, ties to even; what is too large becomes infinite. */
export function toHalf(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(values, halfOf);
}

/** Their values. */
export function fromHalf(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1024 + fraction) * 2 ** (exponent - 25);
  });
}

function halfOf(value: number): number {
  float[0] = value;
  const word = bits[0] ?? 0;
  const sign = (word >>> 16) & 0x8000;
  const exponent = (word >>> 23) & 255;
  const fraction = word & 0x7fffff;
  if (exponent === 255) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
  const half = exponent - 112;
  if (half >= 31) return sign | 0x7c00;
  if (half < -10) return sign;
  // The hidden bit, shifted down by as much as the exponent is too small for a normal number.
  const whole = half > 0 ? fraction | (half << 23) : fraction | 0x800000;
  const shift = half > 0 ? 13 : 14 - half;
  const kept = Math.floor(whole / 2 ** shift);
  const rest = whole / 2 ** shift - kept;
  return sign | (kept + (rest > 0.5 || (rest === 0.5 && kept % 2 === 1) ? 1 : 0));
}
