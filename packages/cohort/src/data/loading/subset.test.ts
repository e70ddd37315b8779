/** A subset keeps every class's share, is the same for the same seed, and refuses sizes that cannot be had. */
import { describe, expect, it } from 'vitest';
import { stratifiedIndices, stratifiedSubset, takeImages } from './subset.ts';
import { cyclicLabels, dataErrorOf, madeUpSplit } from '../testing.ts';

const shape = { channels: 2, height: 3, width: 2 };
const classes = ['a', 'b', 'c'];

/** 60 of class 0, 30 of class 1, 10 of class 2, interleaved. */
const uneven = Uint8Array.from({ length: 100 }, (_, index) => {
  const place = index % 10;
  return place < 6 ? 0 : place < 9 ? 1 : 2;
});

function countsOf(indices: Int32Array, labels: Uint8Array): number[] {
  const counts = [0, 0, 0];
  for (const index of indices) counts[labels[index] ?? 0] = (counts[labels[index] ?? 0] ?? 0) + 1;
  return counts;
}

describe('stratifiedIndices', () => {
  it.each([
    [50, [30, 15, 5]],
    [10, [6, 3, 1]],
    [100, [60, 30, 10]],
    // Quotas 4.2, 2.1, 0.7: the largest remainder is class 2's.
    [7, [4, 2, 1]],
    // Quotas 5.4, 2.7, 0.9: classes 2 and 1 are rounded up.
    [9, [5, 3, 1]],
    // Quotas 1.8, 0.9, 0.3: every class keeps one image, so class 0 gives way.
    [3, [1, 1, 1]],
    [4, [2, 1, 1]],
  ])('gives every class its share of %i', (count, expected) => {
    const indices = stratifiedIndices(uneven, { count, classCount: 3, seed: 1 });
    expect(countsOf(indices, uneven)).toEqual(expected);
    expect(new Set(indices).size).toBe(count);
    expect(Array.from(indices)).toEqual(Array.from(indices).sort((left, right) => left - right));
  });

  it('adds up for every size', () => {
    for (let count = 3; count <= 100; count += 1) {
      const indices = stratifiedIndices(uneven, { count, classCount: 3, seed: 1 });
      expect(indices.length).toBe(count);
      for (const [label, size] of countsOf(indices, uneven).entries()) {
        expect(Math.abs(size - (count * ([60, 30, 10][label] ?? 0)) / 100)).toBeLessThan(1);
      }
    }
  });

  it('depends on the seed alone, and grows by adding', () => {
    const take = (seed: number, count = 40) =>
      Array.from(stratifiedIndices(uneven, { count, classCount: 3, seed }));
    expect(take(1)).toEqual(take(1));
    expect(take(1)).not.toEqual(take(2));
    expect(take(1, 80)).toEqual(expect.arrayContaining(take(1, 40)));
  });

  it('is pinned, so that runs stay comparable between releases', () => {
    expect(Array.from(stratifiedIndices(uneven, { count: 10, classCount: 3, seed: 1 })))
      .toMatchInlineSnapshot(`
      [
        3,
        10,
        21,
        49,
        51,
        53,
        68,
        70,
        87,
        96,
      ]
    `);
  });

  it('passes over classes without images', () => {
    const indices = stratifiedIndices(uneven, { count: 10, classCount: 5, seed: 1 });
    expect(countsOf(indices, uneven)).toEqual([6, 3, 1]);
  });

  it.each([101, 2, 0, -1, 2.5, NaN])('refuses %d images', async (count) => {
    const error = await dataErrorOf(() => stratifiedIndices(uneven, { count, classCount: 3, seed: 1 }));
    expect(error.kind).toBe('argument');
    expect(error.message).toContain(
      `expected a whole number of images from 3 (one of every class) to 100 (all), got ${count}. Change the number of images`,
    );
  });

  it('refuses labels outside of the classes', async () => {
    const error = await dataErrorOf(() => stratifiedIndices(uneven, { count: 10, classCount: 2, seed: 1 }));
    expect(error.kind).toBe('label');
    expect(error.message).toContain('label 2 at position 9');
  });
});

describe('stratifiedSubset', () => {
  it('copies images and labels of the chosen positions', () => {
    const split = madeUpSplit(shape, cyclicLabels(30, 3));
    const subset = stratifiedSubset(split, { ...shape, classes }, { count: 12, seed: 5 });
    const indices = stratifiedIndices(split.labels, { count: 12, classCount: 3, seed: 5 });
    expect(subset.count).toBe(12);
    for (const [row, index] of indices.entries()) {
      expect(subset.labels[row]).toBe(split.labels[index]);
      expect(subset.images.subarray(row * 12, row * 12 + 12)).toEqual(
        split.images.subarray(index * 12, index * 12 + 12),
      );
    }
  });

  it('keeps the split for null', () => {
    const split = madeUpSplit(shape, cyclicLabels(30, 3));
    expect(stratifiedSubset(split, { ...shape, classes }, { count: null, seed: 5 })).toBe(split);
  });

  it('refuses an index outside of the split', async () => {
    const split = madeUpSplit(shape, cyclicLabels(30, 3));
    const error = await dataErrorOf(() => takeImages(split, shape, Int32Array.of(0, 30)));
    expect(error.message).toContain('indices from 0 to 29, got 30');
  });
});
