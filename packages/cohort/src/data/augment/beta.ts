/** Draws from a symmetric Beta distribution by a key alone, for the shares of mixup and CutMix. */
import { hashKeys } from '../loading/random.ts';

/** Below this the exponential function is 0 anyway. */
const SMALLEST_LOG = -745;

/** A number from 0 to 1 of the distribution Beta(alpha, alpha), the same for the same key. */
export function betaDraw(alpha: number, key: number): number {
  let drawn = 0;
  const uniform = (): number => {
    drawn += 1;
    return (hashKeys(key, drawn) + 0.5) / 2 ** 32;
  };
  const [first, second] = [logGammaDraw(alpha, uniform), logGammaDraw(alpha, uniform)];
  // x / (x + y) in logarithms: for a small alpha both x and y may be too small for a number.
  const difference = Math.max(SMALLEST_LOG, second - first);
  return 1 / (1 + Math.exp(difference));
}

/**
 * Logarithm of a draw from Gamma(shape, 1), by Marsaglia and Tsang, "A simple method for generating gamma variables"
 * (2000); below 1 by way of shape + 1.
 */
function logGammaDraw(shape: number, uniform: () => number): number {
  if (shape < 1) return logGammaDraw(shape + 1, uniform) + Math.log(uniform()) / shape;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const normal = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    const v = (1 + c * normal) ** 3;
    if (v <= 0) continue;
    if (Math.log(uniform()) < normal ** 2 / 2 + d - d * v + d * Math.log(v)) return Math.log(d * v);
  }
}
