/** Recipes as a user would write them for the benchmark's networks: the published settings, in either precision. */
import { resolveRecipe, type ResolvedRecipe } from 'cohort-ml/internal';
import type { Precision } from '../work.ts';

/** Small enough that a batch which is seen again and again does not blow up. */
const learningRate = 0.01;

/** @param method name of the method, with settings that differ from the published ones */
export function benchRecipe(
  models: readonly string[],
  method: Readonly<Record<string, unknown>>,
  precision: Precision,
): ResolvedRecipe {
  const input = {
    name: 'benchmark',
    data: { dataset: 'fashion-mnist' },
    networks: models.map((model) => ({ model })),
    method,
    train: {
      epochs: 1,
      precision,
      optimizer: { name: 'sgd', learningRate, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
    },
  };
  return resolveRecipe(input, { source: 'the benchmark' });
}
