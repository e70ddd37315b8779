/** Learning-rate schedules at the points that decide them, and the settings that make no sense. */
import { describe, expect, test } from 'vitest';
import { ArgumentError, optim } from '../index.ts';

describe('cosine', () => {
  const schedule = optim.cosine({ learningRate: 2, epochs: 10 });

  test.each([[0, 2], [2.5, 1 + Math.SQRT1_2], [5, 1], [7.5, 1 - Math.SQRT1_2], [10, 0], [11, 0]])('at epoch %s', (epoch, expected) => {
    expect(schedule(epoch)).toBeCloseTo(expected, 12);
  }); // prettier-ignore

  test('ends at finalLearningRate, and counts the warm-up in', () => {
    const warm = optim.cosine({ learningRate: 1, epochs: 12, warmupEpochs: 2, finalLearningRate: 0.1 });
    expect(warm(2)).toBe(1);
    expect(warm(7)).toBeCloseTo(0.55, 12);
    expect(warm(12)).toBeCloseTo(0.1, 12);
  });
});

describe('multiStep', () => {
  test('falls at each milestone, at its very beginning', () => {
    const schedule = optim.multiStep({ learningRate: 1, milestones: [3, 6], factor: 0.5 });
    expect([0, 2.99, 3, 5.99, 6, 100].map(schedule)).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25]);
    expect(optim.multiStep({ learningRate: 1, milestones: [1] })(1)).toBeCloseTo(0.1, 15);
    expect(optim.multiStep({ learningRate: 1, milestones: [] })(9)).toBe(1);
  });
});

describe('warm-up', () => {
  const schedule = optim.constant({ learningRate: 1, warmupEpochs: 4 });

  test('rises in a line from a tenth, so that no step is lost', () => {
    expect([0, 1, 2, 3, 4, 9].map(schedule)).toEqual([0.1, 0.325, 0.55, 0.775, 1, 1]);
    const perStep = Array.from({ length: 40 }, (_, step) => schedule(step / 10));
    expect(perStep.every((rate) => rate > 0)).toBe(true);
    expect(perStep.every((rate, index) => index === 0 || rate > (perStep[index - 1] ?? 0))).toBe(true);
  });

  test('without it the schedule starts at once', () => {
    expect(optim.constant({ learningRate: 0.3 })(0)).toBe(0.3);
  });
});

test.each([
  [
    () => optim.cosine({ learningRate: 1, epochs: 2, warmupEpochs: 2 }),
    /epochs \(2\) must be more than warmupEpochs \(2\)/,
  ],
  [() => optim.cosine({ learningRate: 1, epochs: NaN }), /epochs \(NaN\)/],
  [
    () => optim.cosine({ learningRate: NaN, epochs: 5 }),
    /learningRate must be a finite number from 0, got NaN/,
  ],
  [() => optim.cosine({ learningRate: 1, epochs: 5, finalLearningRate: -1 }), /finalLearningRate must be/],
  [
    () => optim.constant({ learningRate: 1, warmupEpochs: -1 }),
    /warmupEpochs must be a finite number from 0, got -1/,
  ],
  [() => optim.multiStep({ learningRate: 1, milestones: [1, NaN] }), ArgumentError],
  [() => optim.multiStep({ learningRate: 1, milestones: [1], factor: -2 }), /factor must be/],
  [() => optim.constant({ learningRate: 1 })(NaN), /epoch must be/],
  [() => optim.constant({ learningRate: 1 })(-1), /epoch must be/],
])('refuses %s', (make, message) => {
  expect(make).toThrow(message);
});
