/** Means, spreads and bootstrap intervals. */
import { describe, expect, it } from 'vitest';
import { aggregate, intervalOverImages, intervalOverSeeds } from './statistics.ts';

describe('aggregate', () => {
  it('divides by n - 1, and has no spread of a single value', () => {
    expect(aggregate([1, 2, 3, 6])).toMatchObject({ mean: 3, standardDeviation: Math.sqrt(14 / 3) });
    expect(aggregate([5])).toMatchObject({ mean: 5, standardDeviation: null });
  });
});

describe('the bootstrap over seeds', () => {
  it('covers the means that resampling can give, and nothing where there is one seed', () => {
    expect(intervalOverSeeds([1])).toBeNull();
    // Of two values the resampled means are 0, 0.5 and 1, with a quarter at each end.
    expect(intervalOverSeeds([0, 1])).toEqual({ lower: 0, upper: 1 });
    expect(intervalOverSeeds([0.25, 0.25, 0.25])).toEqual({ lower: 0.25, upper: 0.25 });
  });
});

describe('the bootstrap over images', () => {
  // A fifth of the images gained, a tenth lost: mean 0.1, variance 0.3 - 0.01.
  const images = Float64Array.from({ length: 1000 }, (_, image) =>
    image % 10 < 2 ? 1 : image % 10 === 2 ? -1 : 0,
  );

  it('is as wide as the normal approximation says', () => {
    const half = 1.96 * Math.sqrt(0.29 / 1000);
    const interval = intervalOverImages([images], true);
    expect(interval?.lower).toBeGreaterThan(0.1 - half - 0.006);
    expect(interval?.lower).toBeLessThan(0.1 - half + 0.006);
    expect(interval?.upper).toBeGreaterThan(0.1 + half - 0.006);
    expect(interval?.upper).toBeLessThan(0.1 + half + 0.006);
  });

  it('draws the same images for all seeds only where they are the same', () => {
    const width = (areSame: boolean): number => {
      const interval = intervalOverImages([images, images, images, images], areSame);
      return (interval?.upper ?? NaN) - (interval?.lower ?? NaN);
    };
    // Four independent draws average out; the same draw four times does not.
    expect(width(true) / width(false)).toBeGreaterThan(1.7);
    expect(width(true) / width(false)).toBeLessThan(2.3);
  });

  it('has none without images', () => {
    expect(intervalOverImages([], true)).toBeNull();
    expect(intervalOverImages([new Float64Array()], false)).toBeNull();
  });
});
