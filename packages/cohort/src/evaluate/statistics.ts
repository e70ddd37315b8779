/** Means and spreads over seeds, and paired bootstrap intervals of differences, over seeds and over images. */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Values of several seeds. */
export interface Aggregate {
  readonly mean: number;
  /** With n - 1; null of a single value. */
  readonly standardDeviation: number | null;
  /** One per seed. */
  readonly values: readonly number[];
}

/** The middle 95 percent of what a resampled mean comes to. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/** Resamples of a few seeds cost nothing; of ten thousand images they take a while. */
const seedResamples = 10_000;
const imageResamples = 2000;

/** Fixed, so that a report that is made again is the same. */
const bootstrapSeed = 20_220_207;

/** Mean and standard deviation; NaN of none. */
export function aggregate(values: readonly number[]): Aggregate {
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const standardDeviation = values.length < 2 ? null : Math.sqrt(squares / (values.length - 1));
  return { mean, standardDeviation, values };
}

/** NaN of none. */
export function meanOf(values: readonly number[] | Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/**
 * How far the mean difference might be from this one had other seeds been drawn: seeds are resampled with replacement.
 *
 * @param differences one per seed, of two methods with the same seed
 * @returns null of fewer than two
 */
export function intervalOverSeeds(differences: readonly number[]): Interval | null {
  if (differences.length < 2) return null;
  const draw = drawer();
  return percentiles(seedResamples, () => resampledMean(differences, draw));
}

/**
 * How far the mean difference might be from this one had other test images been drawn, with the same trained networks:
 * images are resampled with replacement.
 *
 * @param differences for each seed one value per image
 * @param areSame whether all seeds were tested on the same images, which are then drawn together
 * @returns null where there are no images
 */
export function intervalOverImages(differences: readonly Float64Array[], areSame: boolean): Interval | null {
  const [first] = differences;
  if (first === undefined || differences.some(({ length }) => length === 0)) return null;
  const draw = drawer();
  if (areSame && differences.every(({ length }) => length === first.length)) {
    const means = first.map((_, image) => meanOf(differences.map((each) => each[image] ?? 0)));
    return percentiles(imageResamples, () => resampledMean(means, draw));
  }
  return percentiles(imageResamples, () => meanOf(differences.map((each) => resampledMean(each, draw))));
}

/** Draws whole numbers from 0 to below a bound. */
function drawer(): (bound: number) => number {
  const generator = xoroshiro128plus(bootstrapSeed);
  return (bound) => Math.floor(((generator.next() >>> 0) / 2 ** 32) * bound);
}

/** As many draws with replacement as there are values. */
function resampledMean(values: readonly number[] | Float64Array, draw: (bound: number) => number): number {
  const { length } = values;
  let sum = 0;
  let drawn = 0;
  while (drawn < length) {
    sum += values[draw(length)] ?? 0;
    drawn += 1;
  }
  return sum / length;
}

/** The middle 95 percent of what was resampled, without what is no number; null where nothing is. */
export function percentileInterval(resampled: readonly number[]): Interval | null {
  const values = Float64Array.from(resampled.filter((value) => !Number.isNaN(value))).sort();
  if (values.length === 0) return null;
  const at = (share: number): number => values[Math.round(share * (values.length - 1))] ?? NaN;
  return { lower: at(0.025), upper: at(0.975) };
}

function percentiles(count: number, resample: () => number): Interval {
  const means = Float64Array.from({ length: count }, resample).sort();
  const at = (share: number): number => means[Math.round(share * (count - 1))] ?? NaN;
  return { lower: at(0.025), upper: at(0.975) };
}
