/** Means over seeds with their intervals, for groups of rows. */

/** Two-sided 95% quantiles of Student's t by degrees of freedom, from 1. */
const STUDENT = [
  12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
];
const NORMAL = 1.96;

/** A mean and half the width of its 95% interval; null for a single value. */
export interface MeanInterval {
  readonly mean: number;
  readonly halfWidth: number | null;
  readonly count: number;
}

/** The mean of finite values with Student's interval; null where there are none. */
export function meanInterval(values: readonly number[]): MeanInterval | null {
  const finite = values.filter(Number.isFinite);
  const count = finite.length;
  if (count === 0) return null;
  const mean = finite.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { mean, halfWidth: null, count };
  const variance = finite.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  return { mean, halfWidth: (STUDENT[count - 2] ?? NORMAL) * Math.sqrt(variance / count), count };
}
