/** Parts of the probes by value: draws of a few images, features side by side, and features that are not numbers. */
import { describe, expect, it } from 'vitest';
import { sideBySide } from './extract.ts';
import { assertFinite } from './features.ts';
import { drawShots } from './frozen.ts';

const labels = [0, 1, 0, 1, 0, 1, 0, 1, 0, 0];
const classes = ['cat', 'dog'];

describe('drawShots', () => {
  it('takes so many different images of each class, the fewer among the more', () => {
    const [two, four] = [drawShots(labels, classes, 2, 1), drawShots(labels, classes, 4, 1)];
    for (const [drawn, count] of [
      [two, 2],
      [four, 4],
    ] as const) {
      expect(new Set(drawn).size).toBe(2 * count);
      expect(drawn.filter((index) => labels[index] === 0)).toHaveLength(count);
    }
    expect(four).toEqual(expect.arrayContaining(two));
  });

  it('draws others with another seed, and the same again with the same', () => {
    expect(drawShots(labels, classes, 2, 1)).toEqual(drawShots(labels, classes, 2, 1));
    const draws = [1, 2, 3, 4, 5].map((seed) => drawShots(labels, classes, 2, seed).join());
    expect(new Set(draws).size).toBeGreaterThan(1);
  });

  it('names the class that has too few images', () => {
    expect(() => drawShots(labels, classes, 5, 1)).toThrow(
      'The class dog has 4 training images, too few for 5 shots. Lower --shots, or give more images.',
    );
  });
});

describe('features', () => {
  it('stand side by side row by row', () => {
    const one = { values: Float32Array.of(1, 2, 3, 4), count: 2, width: 2 };
    const other = { values: Float32Array.of(5, 6), count: 2, width: 1 };
    expect(sideBySide([one, other])).toEqual({
      values: Float32Array.of(1, 2, 5, 3, 4, 6),
      count: 2,
      width: 3,
    });
  });

  it('are refused where they are not finite', () => {
    const table = { values: Float32Array.of(1, NaN, 3, 4, Infinity, 6), count: 3, width: 2 };
    expect(() => {
      assertFinite(table, 'resnet8-1 of mcl, seed 1');
    }).toThrow('The features of resnet8-1 of mcl, seed 1 are not finite numbers for 2 of 3 images.');
  });
});
