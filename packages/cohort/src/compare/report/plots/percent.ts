/** Values of plots in percent, with the interval of their mean over seeds. */
import { intervalOverSeeds, type Aggregate } from '../../../evaluate/statistics.ts';

/** What bars are. */
export const INTERVALS = 'Bars: 95% bootstrap intervals of the mean over seeds.';

/** Mean and ends of its 95% interval, from shares to percent; no interval of one seed. */
export function inPercent(value: Aggregate): {
  mean: number;
  interval: readonly [number, number] | null;
} {
  const interval = intervalOverSeeds(value.values);
  return {
    mean: 100 * value.mean,
    interval: interval === null ? null : [100 * interval.lower, 100 * interval.upper],
  };
}
