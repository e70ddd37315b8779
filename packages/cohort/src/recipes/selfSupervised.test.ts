/** Recipes that learn without labels: published defaults, and settings about labels, which would do nothing. */
import { describe, expect, it } from 'vitest';
import { recipeAdvice } from './advice.ts';
import { minimal, problemsOf } from './testing.ts';
import { resolveRecipe } from './validate.ts';

const train = { epochs: 10, batchSize: 64 };
const problems = (changes: object): string[] =>
  problemsOf({ ...minimal, method: { name: 'moco-mcl' }, train, ...changes });

describe('a recipe without labels', () => {
  it('has the defaults of MoCo v1 with all mutual terms at weight 1', () => {
    expect(resolveRecipe({ ...minimal, method: { name: 'moco-mcl' } }).method).toEqual({
      name: 'moco-mcl',
      weights: { vcl: 1, icl: 1, softVcl: 1, softIcl: 1 },
      distillationTemperature: 3,
      rampUpEpochs: 0,
      queue: null,
      keyMomentum: 0.999,
      temperature: 0.07,
      embeddingSize: 128,
      head: 'linear',
    });
  });

  it('may have a single network as a baseline, and not for mutual terms', () => {
    const networks = [{ model: 'resnet8' as const }];
    expect(resolveRecipe({ ...minimal, networks, method: { name: 'moco' } }).networks).toHaveLength(1);
    expect(problems({ networks })).toEqual([expect.stringMatching(/^networks: expected at least 2/)]);
  });

  it.each([
    [
      { method: { name: 'moco-mcl', queue: 1000 } },
      'method.queue: expected a multiple of train.batchSize (64)',
    ],
    [
      { method: { name: 'moco', queue: 640 }, data: { dataset: 'fashion-mnist', trainImages: 500 } },
      'method.queue: expected at most data.trainImages (500)',
    ],
    [
      { data: { dataset: 'fashion-mnist', augmentation: { mixup: {} } } },
      'data.augmentation.mixup: expected null, since method moco-mcl learns without labels; omit the line',
    ],
    [
      { data: { dataset: 'fashion-mnist', sampler: { name: 'class-balanced' } } },
      'data.sampler.name: expected shuffled, since method moco-mcl learns without labels',
    ],
    [
      { train: { ...train, classification: { labelSmoothing: 0.1 } } },
      'train.classification.labelSmoothing: expected 0, since method moco-mcl learns without labels',
    ],
    [
      { train: { ...train, weightAverage: { teacher: {} } } },
      'train.weightAverage.teacher: expected null, since method moco-mcl learns without labels',
    ],
  ])('%j is refused', (changes, message) => {
    expect(problems(changes)).toEqual([expect.stringContaining(message)]);
  });

  it('is warned of where both views would be the same', () => {
    const recipe = resolveRecipe({ ...minimal, method: { name: 'simclr' } });
    expect(recipeAdvice(recipe).join()).toMatch(/data\.augmentation is off, .* learns nothing/);
    const data = { dataset: 'fashion-mnist', augmentation: { greyscale: {} } } as const;
    expect(recipeAdvice(resolveRecipe({ ...minimal, data, method: { name: 'simclr' } }))).toEqual([]);
  });
});
