/** The likeliest classes, by either way of finding them. */
import { describe, expect, it } from 'vitest';
import { rank } from './rank.ts';

const classes = Array.from({ length: 40 }, (_, index) => `class ${index}`);
/** Each value five times, in no order. */
const probabilities = Float32Array.from(classes, (_, index) => ((index * 27) % 8) / 140);

describe('the likeliest classes', () => {
  it('come first, equally likely ones in the order of the classes', () => {
    expect(rank([0.1, 0.3, 0.3, 0.1, 0.2], ['a', 'b', 'c', 'd', 'e'], 4)).toEqual([
      { label: 'b', probability: 0.3 },
      { label: 'c', probability: 0.3 },
      { label: 'e', probability: 0.2 },
      { label: 'a', probability: 0.1 },
    ]);
  });

  it('are the first of all, however many are asked for', () => {
    const all = rank(probabilities, classes, 40);
    expect(new Set(all.map(({ label }) => label)).size).toBe(40);
    for (const count of [0, 1, 5, 16, 17, 39, 50]) {
      expect(rank(probabilities, classes, count)).toEqual(all.slice(0, count));
    }
  });

  it('are the first classes where nothing is a number, so that everyone sees it', () => {
    for (const count of [2, 20]) {
      const found = rank(new Float32Array(40).fill(NaN), classes, count);
      expect(found.map(({ label }) => label)).toEqual(classes.slice(0, count));
      expect(found.every(({ probability }) => Number.isNaN(probability))).toBe(true);
    }
  });
});
