/**
 * Seeded randomness that depends on keys and not on history: the draw for (seed, epoch, sample) is the same whatever the
 * batch order, the number of workers or the step a run was resumed at.
 */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** What a draw is for; a first key of its own keeps two uses of one seed unrelated. */
export const RANDOM_PURPOSE = {
  subset: 1,
  order: 2,
  crop: 3,
  weights: 4,
  method: 5,
  contrast: 6,
  validation: 7,
  view: 8,
  resizedCrop: 9,
  randAugment: 10,
  colourJitter: 11,
  erasing: 12,
  mixing: 13,
  greyscale: 14,
  blur: 15,
  testSplit: 20,
  heldOutViews: 21,
  step: 30,
  shots: 40,
  taskView: 50,
  taskStep: 51,
} as const;

/** MurmurHash3's 32-bit finaliser: every input bit reaches every output bit. */
export function fmix32(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A 32-bit hash of a chain of integers: `h = fmix32(key + h * 0x9E3779B1)`, one round a key, two for a key past 32 bits. */
export function hashKeys(...keys: readonly number[]): number {
  let hash = 0;
  for (const key of keys) {
    hash = fmix32((key >>> 0) + Math.imul(hash, 0x9e3779b1));
    const high = Math.floor(key / 2 ** 32);
    if (high !== 0) hash = fmix32(high + Math.imul(hash, 0x9e3779b1));
  }
  return hash;
}

/** Maps a 32-bit hash evenly to an integer from 0 to `bound - 1`. */
export function hashToInteger(hash: number, bound: number): number {
  return Math.floor((hash / 2 ** 32) * bound);
}

/** Shuffles `values` in place (Fisher-Yates) by the keys alone, and returns it. */
export function shuffleInPlace<Values extends Int32Array | number[]>(
  values: Values,
  ...keys: readonly number[]
): Values {
  const generator = xoroshiro128plus(hashKeys(...keys) | 0);
  for (let last = values.length - 1; last > 0; last -= 1) {
    const other = uniformInt(generator, 0, last);
    const moved = values[last] ?? 0;
    values[last] = values[other] ?? 0;
    values[other] = moved;
  }
  return values;
}
