/** Statistics of repeated timings: medians and quartiles, which a few disturbed repetitions do not move. */

/** Spread of some durations, in milliseconds. */
export interface Spread {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  /** How many durations there were. */
  readonly count: number;
}

/**
 * The value that a share of the values lies below, interpolated between neighbours (the usual "type 7" quantile); NaN of
 * none.
 *
 * @param share 0 to 1
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const position = (sorted.length - 1) * share;
  const low = sorted[Math.floor(position)] ?? NaN;
  const high = sorted[Math.ceil(position)] ?? NaN;
  return low + (high - low) * (position % 1);
}

/** Median and quartiles. */
export function spreadOf(values: readonly number[]): Spread {
  return {
    median: quantile(values, 0.5),
    lowerQuartile: quantile(values, 0.25),
    upperQuartile: quantile(values, 0.75),
    count: values.length,
  };
}

/**
 * How long one turn of the slowest program lasts: a training is thousands of steps in a row, and the first one after a
 * pause, in which other programs ran, is slower by up to a third.
 */
const turnMs = 4000;
const mostRepetitions = 50;

/** Repetitions a turn, from what a repetition took while warming up. */
export function repetitionsPerTurn(slowestMs: number): number {
  return Math.max(1, Math.min(mostRepetitions, Math.round(turnMs / slowestMs)));
}
