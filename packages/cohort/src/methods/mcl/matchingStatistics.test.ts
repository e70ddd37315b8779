import { liveTensorCount, Tensor } from '@cohort-ml/torch';
import { expect, it } from 'vitest';
import { MatchingStatistics } from './matchingStatistics.ts';

/** `[2, 3, 3]` for a network of one stage and one of two: the weights of stage 1.1 to 2.1 and 2.2, sample by sample. */
function weights(samples: readonly (readonly [number, number])[]): Tensor {
  const values = samples.flatMap(([first, second]) => [9, first, second, first, 9, 9, second, 9, 9]);
  return Tensor.fromTypedArray(Float32Array.from(values), [samples.length, 3, 3]);
}

it('gives mean and spread of every pair of stages of different networks over all samples, and forgets them', () => {
  const statistics = new MatchingStatistics([1, 2]);
  const steps = [
    weights([
      [0.25, 0.5],
      [0.75, 0.5],
    ]),
    weights([
      [0.25, 0.25],
      [0.75, 0.75],
    ]),
  ];
  for (const step of steps) statistics.add(step);
  const live = liveTensorCount();
  const taken = statistics.take();
  expect(Object.keys(taken)).toEqual([
    'matching/1.1-2.1/mean',
    'matching/1.1-2.1/spread',
    'matching/1.1-2.2/mean',
    'matching/1.1-2.2/spread',
  ]);
  expect(taken['matching/1.1-2.1/mean']).toBeCloseTo(0.5, 10);
  expect(taken['matching/1.1-2.1/spread']).toBeCloseTo(0.25, 10);
  expect(taken['matching/1.1-2.2/spread']).toBeCloseTo(Math.sqrt(0.125 / 4), 10);
  expect(statistics.take()).toEqual({});
  expect(liveTensorCount()).toBe(live - 1);
});
