/** Samplers: orders depend on (seed, epoch) alone, batches hold m images a class, and awkward class sizes do not break them. */
import { describe, expect, it } from 'vitest';
import { cyclicLabels } from '../testing.ts';
import { epochOrder } from './sampler.ts';
import type { SamplerSettings } from './settings.ts';

const balanced = (imagesPerClass: number): SamplerSettings => ({ name: 'class-balanced', imagesPerClass });

/** An epoch in full batches. */
function batchesOf(
  settings: SamplerSettings,
  labels: readonly number[],
  options: { batchSize: number; seed?: number; epoch?: number },
): number[][] {
  const { batchSize, seed = 1, epoch = 1 } = options;
  const count = Math.floor(labels.length / batchSize);
  const imageCount = count * batchSize;
  const order = epochOrder(settings, { labels, batchSize, imageCount, seed, epoch });
  expect(order).toHaveLength(imageCount);
  return Array.from({ length: count }, (_, number) =>
    Array.from(order.subarray(number * batchSize, (number + 1) * batchSize)),
  );
}

/** Images of each class in a batch, in the order in which classes come. */
function classCounts(batch: readonly number[], labels: readonly number[]): number[] {
  const counts = new Map<number, number>();
  for (const index of batch) counts.set(labels[index] ?? -1, (counts.get(labels[index] ?? -1) ?? 0) + 1);
  return [...counts.values()];
}

describe('the shuffled sampler', () => {
  it('is pinned, so that runs stay comparable between releases', () => {
    const labels = cyclicLabels(10, 2);
    const [only] = batchesOf({ name: 'shuffled' }, labels, { batchSize: 10 });
    expect(only).toMatchInlineSnapshot(`
      [
        5,
        3,
        9,
        6,
        2,
        8,
        4,
        1,
        7,
        0,
      ]
    `);
  });
});

describe('the class-balanced sampler', () => {
  const labels = cyclicLabels(600, 20);

  it('puts m images of a class into a batch, of as many classes as there is room for', () => {
    for (const batch of batchesOf(balanced(4), labels, { batchSize: 32 })) {
      expect(classCounts(batch, labels)).toEqual(new Array(8).fill(4));
      expect(new Set(batch).size).toBe(32);
    }
  });

  it.each([
    [30, 4, [4, 4, 4, 4, 4, 4, 4, 2]],
    // One image alone would have no positive.
    [17, 4, [4, 4, 4, 5]],
    [5, 2, [2, 3]],
    [3, 2, [3]],
    [2, 4, [2]],
    [12, 1, new Array<number>(12).fill(1)],
  ])('fills a batch of %i where m is %i', (batchSize, imagesPerClass, expected) => {
    for (const batch of batchesOf(balanced(imagesPerClass), labels, { batchSize })) {
      expect(classCounts(batch, labels)).toEqual(expected);
    }
  });

  it('lets every class have its turn before any has another', () => {
    const batches = batchesOf(balanced(4), labels, { batchSize: 40 });
    const turns = new Array<number>(20).fill(0);
    for (const [number, batch] of batches.entries()) {
      for (const index of batch) turns[labels[index] ?? 0] = (turns[labels[index] ?? 0] ?? 0) + 1;
      if (number % 2 === 1) expect(new Set(turns).size).toBe(1);
    }
  });

  it('goes through all images of a class before any comes again', () => {
    const seen = batchesOf(balanced(5), labels, { batchSize: 100 })
      .flat()
      .filter((index) => labels[index] === 3);
    expect(seen).toHaveLength(30);
    expect(new Set(seen).size).toBe(30);
  });

  it('shows rare classes as often as frequent ones, and no image twice in a batch', () => {
    // 3, 40, 1 and 400 images.
    const uneven = [0, 0, 0, ...new Array<number>(40).fill(1), 2, ...new Array<number>(400).fill(3)];
    const totals = [0, 0, 0, 0];
    for (const batch of batchesOf(balanced(8), uneven, { batchSize: 16 })) {
      expect(new Set(batch).size).toBe(16);
      for (const index of batch) totals[uneven[index] ?? 0] = (totals[uneven[index] ?? 0] ?? 0) + 1;
    }
    const [three = 0, forty = 0, one = 0, many = 0] = totals;
    expect(Math.abs(forty - many)).toBeLessThan(40);
    // Those with fewer than m images bring all they have.
    expect(Math.abs(three / 3 - one)).toBeLessThan(3);
    expect(one).toBeGreaterThan(12);
  });

  it('works for a single class, and for a batch of all images', () => {
    const single = new Array<number>(10).fill(7);
    for (const batch of batchesOf(balanced(4), single, { batchSize: 5 })) expect(new Set(batch).size).toBe(5);
    const [all = []] = batchesOf(balanced(2), [0, 0, 0, 0, 0, 1, 2], { batchSize: 7 });
    expect(all.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('repeats an epoch exactly, and orders another epoch or seed anew', () => {
    const first = batchesOf(balanced(4), labels, { batchSize: 32 });
    expect(batchesOf(balanced(4), labels, { batchSize: 32 })).toEqual(first);
    expect(batchesOf(balanced(4), labels, { batchSize: 32, epoch: 2 })).not.toEqual(first);
    expect(batchesOf(balanced(4), labels, { batchSize: 32, seed: 2 })).not.toEqual(first);
  });

  it('gives a last batch that is not full what is left', () => {
    const input = { labels, batchSize: 32, imageCount: 600, seed: 1, epoch: 1 };
    const last = Array.from(epochOrder(balanced(4), input).subarray(18 * 32));
    expect(classCounts(last, labels)).toEqual(new Array(6).fill(4));
  });
});
