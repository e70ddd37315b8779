/** Ranges for 8 bits from what values were seen to be: all of it, all but the outermost, or what loses least information. */

/** How a range is chosen. */
export type RangeMethod = 'min-max' | 'percentile 99.99' | 'percentile 99.9' | 'entropy';

/** Every method, the simplest first. */
export const rangeMethods: readonly RangeMethod[] = [
  'min-max',
  'percentile 99.99',
  'percentile 99.9',
  'entropy',
];

/** Bins of a histogram; as many as TensorRT's calibration has. */
export const histogramBins = 2048;

/** Levels of 8 bits. */
const levels = 256;

/** What was seen of one value. */
export interface Observed {
  readonly lowest: number;
  readonly highest: number;
  /** Counts in equal bins from `lowest` to `highest`. */
  readonly histogram: Float64Array;
}

/** What 8 bits are to hold; zero lies within. */
export interface Range {
  readonly lowest: number;
  readonly highest: number;
}

/** Chooses a range. */
export function chooseRange(observed: Observed, method: RangeMethod): Range {
  const { lowest, highest } = observed;
  if (!(highest > lowest)) return withZero({ lowest, highest });
  switch (method) {
    case 'min-max':
      return withZero({ lowest, highest });
    case 'percentile 99.99':
      return withZero(percentile(observed, 0.9999));
    case 'percentile 99.9':
      return withZero(percentile(observed, 0.999));
    case 'entropy':
      return withZero(leastDivergence(observed));
  }
}

/** Zero must be a level: padding and ReLU give it exactly. */
function withZero({ lowest, highest }: Range): Range {
  return { lowest: Math.min(0, lowest), highest: Math.max(0, highest) };
}

/** Leaves out the share `1 - kept` of values, half of it at either end, or all of it above where nothing is below zero. */
function percentile(observed: Observed, kept: number): Range {
  const { histogram, lowest } = observed;
  const total = histogram.reduce((sum, count) => sum + count, 0);
  const isOneSided = lowest >= 0;
  const leftOut = (total * (1 - kept)) / (isOneSided ? 1 : 2);
  const first = isOneSided ? 0 : firstBeyond(histogram, leftOut);
  const last = histogramBins - 1 - firstBeyond(histogram.toReversed(), leftOut);
  return edges(observed, first, Math.max(first, last));
}

/** The bin in which the running sum exceeds `count`. */
function firstBeyond(histogram: Float64Array, count: number): number {
  let sum = 0;
  return Math.max(
    0,
    histogram.findIndex((each) => (sum += each) > count),
  );
}

function edges({ lowest, highest }: Observed, first: number, last: number): Range {
  const width = (highest - lowest) / histogramBins;
  return { lowest: lowest + first * width, highest: lowest + (last + 1) * width };
}

/**
 * The range whose 256 levels lose least of the distribution, by Kullback-Leibler divergence (Migacz, "8-bit inference with
 * TensorRT", GTC 2017). The end that lies farther from zero is drawn in; the other keeps what is within the same distance.
 */
function leastDivergence(observed: Observed): Range {
  const { lowest, highest } = observed;
  const isMirrored = -lowest > highest;
  const histogram = observed.histogram.slice();
  // Zero is a level, and after ReLU half of all values are zero: smeared over its neighbours, they would decide alone.
  const zeroBin = Math.floor((-lowest / (highest - lowest)) * histogramBins);
  if (zeroBin >= 0 && zeroBin < histogramBins) histogram[zeroBin] = 0;
  const counts = isMirrored ? histogram.reverse() : histogram;
  const smallest = levels;
  let best = { divergence: Infinity, bins: histogramBins };
  for (let bins = smallest; bins <= histogramBins; bins += 16) {
    const divergence = divergenceOf(counts, bins);
    if (divergence < best.divergence) best = { divergence, bins };
  }
  const last = best.bins - 1;
  const found = isMirrored
    ? edges(observed, histogramBins - 1 - last, histogramBins - 1)
    : edges(observed, 0, last);
  const reach = isMirrored ? -found.lowest : found.highest;
  return { lowest: Math.max(found.lowest, -reach), highest: Math.min(found.highest, reach) };
}

/** Of the first `bins` bins, with the rest counted in the last, from the same in 256 levels. */
function divergenceOf(counts: Float64Array, bins: number): number {
  const reference = counts.slice(0, bins);
  let beyond = 0;
  for (let bin = bins; bin < counts.length; bin += 1) beyond += counts[bin] ?? 0;
  const total = reference.reduce((sum, count) => sum + count, 0) + beyond;
  let divergence = 0;
  for (let level = 0; level < levels; level += 1) {
    const start = Math.floor((level * bins) / levels);
    const end = Math.max(start + 1, Math.floor(((level + 1) * bins) / levels));
    let sum = 0;
    let used = 0;
    for (let bin = start; bin < end; bin += 1) {
      sum += reference[bin] ?? 0;
      used += Number((reference[bin] ?? 0) > 0);
    }
    for (let bin = start; bin < end; bin += 1) {
      const count = reference[bin] ?? 0;
      const seen = bin === bins - 1 ? count + beyond : count;
      if (seen <= 0) continue;
      // A level gives back its mean for every bin that had any; what was cut off has nothing to stand for it.
      const approximated = used > 0 && sum > 0 ? sum / used : 1e-9 * total;
      divergence += (seen / total) * Math.log(seen / approximated);
    }
  }
  return divergence;
}
