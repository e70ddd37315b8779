/** Ranges hold what they promise: everything, all but the outermost, or most information; and zero in any case. */
import { expect, test } from 'vitest';
import { chooseRange, histogramBins, rangeMethods, type Observed } from './ranges.ts';

/** Counts of values in the bins between the smallest and the largest. */
function observe(values: readonly number[]): Observed {
  const lowest = Math.min(...values);
  const highest = Math.max(...values);
  const histogram = new Float64Array(histogramBins);
  for (const value of values) {
    const bin = Math.min(
      histogramBins - 1,
      Math.floor(((value - lowest) / (highest - lowest)) * histogramBins),
    );
    histogram[bin] = (histogram[bin] ?? 0) + 1;
  }
  return { lowest, highest, histogram };
}

/** A bell around zero with a deviation of 1, by the quantiles of a logistic distribution. */
const bell = Array.from({ length: 20_000 }, (_, index) => {
  const share = (index + 0.5) / 20_000;
  return 0.55 * Math.log(share / (1 - share));
});
const rectified = bell.map((value) => Math.max(0, value));

test('min-max keeps the outlier; the others leave it out and keep what is common', () => {
  const observed = observe([...rectified, 100]);
  expect(chooseRange(observed, 'min-max')).toEqual({ lowest: 0, highest: 100 });
  for (const method of ['percentile 99.99', 'percentile 99.9', 'entropy'] as const) {
    const { lowest, highest } = chooseRange(observed, method);
    expect(lowest).toBe(0);
    expect(highest, method).toBeGreaterThan(2);
    expect(highest, method).toBeLessThan(20);
  }
});

test('percentiles cut both ends of values on both sides of zero, by their share', () => {
  const { lowest, highest } = chooseRange(observe(bell), 'percentile 99.9');
  const inside = bell.filter((value) => value >= lowest && value <= highest).length / bell.length;
  expect(inside).toBeGreaterThan(0.998);
  expect(inside).toBeLessThan(1);
  expect(lowest).toBeCloseTo(-highest, 1);
});

test('entropy draws in the farther end, whichever it is', () => {
  const positive = chooseRange(observe([...bell, 60]), 'entropy');
  const negative = chooseRange(observe([...bell, -60].map((value) => value)), 'entropy');
  expect(positive.highest).toBeLessThan(30);
  expect(negative.lowest).toBeGreaterThan(-30);
  expect(positive.lowest).toBeLessThan(-2);
  expect(negative.highest).toBeGreaterThan(2);
});

test.each(rangeMethods)('by %s, zero is inside, and a value that never changes has a range', (method) => {
  const above = chooseRange(observe([5, 6, 7]), method);
  expect(above.lowest).toBe(0);
  expect(above.highest).toBeGreaterThan(0);
  const constant = { lowest: 3, highest: 3, histogram: new Float64Array(histogramBins) };
  expect(chooseRange(constant, method)).toEqual({ lowest: 0, highest: 3 });
  const empty = { lowest: 0, highest: 0, histogram: new Float64Array(histogramBins) };
  expect(chooseRange(empty, method)).toEqual({ lowest: 0, highest: 0 });
});
