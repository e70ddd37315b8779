/** Settings of data in recipes: defaults of what is switched on, what does not go together, and what is warned of. */
import { describe, expect, it } from 'vitest';
import { recipeAdvice } from './advice.ts';
import { minimal, problemsOf } from './testing.ts';
import type { RecipeInput } from './schema.ts';
import { resolveRecipe } from './validate.ts';

describe('data settings that are right', () => {
  it('spells out the defaults of every augmentation and sampler that is switched on', () => {
    const augmentation = {
      resizedCrop: {},
      randAugment: { magnitude: 5 },
      colourJitter: {},
      erasing: {},
      mixup: { probability: 0.5 },
      cutmix: { probability: 0.5 },
    };
    const sampler = { imagesPerClass: 8, name: 'class-balanced' } as const;
    const { data } = resolveRecipe({ ...minimal, data: { dataset: 'fashion-mnist', augmentation, sampler } });
    expect(data.sampler).toEqual({ name: 'class-balanced', imagesPerClass: 8 });
    expect(data.augmentation).toEqual({
      cropPadding: 0,
      resizedCrop: { scale: [0.08, 1], ratio: [3 / 4, 4 / 3] },
      horizontalFlip: false,
      randAugment: { operations: 2, magnitude: 5 },
      colourJitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 1 },
      greyscale: null,
      blur: null,
      erasing: { probability: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3], fill: 'mean' },
      mixup: { alpha: 0.2, probability: 0.5 },
      cutmix: { alpha: 1, probability: 0.5 },
      views: 'shared',
    });
  });

  it('is warned of where contrast finds no positives', () => {
    const sampler = { name: 'class-balanced', imagesPerClass: 1 } as const;
    const advice = (changes: Partial<RecipeInput>): string[] =>
      recipeAdvice(resolveRecipe({ ...minimal, data: { dataset: 'fashion-mnist', sampler }, ...changes }));
    expect(advice({})).toEqual([
      expect.stringMatching(/^data\.sampler\.imagesPerClass is 1, .*Set it to 2 or more\.$/),
    ]);
    expect(advice({ method: { name: 'independent' } })).toEqual([]);
    expect(advice({ method: { name: 'mcl', memory: {} } })).toEqual([]);
    expect(advice({ data: { dataset: 'fashion-mnist' } })).toEqual([]);
  });
});

describe('data settings that are wrong', () => {
  it.each<[object, object, string]>([
    [
      { erasing: { probability: 1.5 } },
      {},
      'erasing.probability: expected a number of at least 0 and at most 1, got 1.5',
    ],
    [
      { colourJitter: { probability: -0.1 } },
      {},
      'colourJitter.probability: expected a number of at least 0 and at most 1, got -0.1',
    ],
    [
      { randAugment: { magnitude: 31 } },
      {},
      'randAugment.magnitude: expected a whole number of at least 0 and at most 30, got 31',
    ],
    [
      { randAugment: { operations: 0 } },
      {},
      'randAugment.operations: expected a whole number of at least 1 and at most 14, got 0',
    ],
    [
      { colourJitter: { hue: 0.7 } },
      {},
      'colourJitter.hue: expected a number of at least 0 and at most 0.5, got 0.7',
    ],
    [{ mixup: { alpha: 0 } }, {}, 'mixup.alpha: expected a number above 0 and at most 1000, got 0'],
    [{ cutmix: { alpha: -1 } }, {}, 'cutmix.alpha: expected a number above 0 and at most 1000, got -1'],
    [
      { erasing: { scale: [0.1, 1.2] } },
      {},
      'erasing.scale.1: expected a number above 0 and at most 1, got 1.2',
    ],
    [
      { erasing: { scale: 0.1 } },
      {},
      'erasing.scale: expected a list of 2: a number above 0 and at most 1, a number above 0 and at most 1, got 0.1',
    ],
    [
      { resizedCrop: { ratio: [2, 1] } },
      {},
      'resizedCrop.ratio: expected the smaller value first, got 2, then 1',
    ],
    [
      { resizedCrop: {}, cropPadding: 2 },
      {},
      'cropPadding: expected 0 with resizedCrop, since an image is cropped in one way only, got 2',
    ],
    [
      { mixup: { probability: 0.8 }, cutmix: { probability: 0.4 } },
      {},
      'cutmix.probability: expected at most 1 - mixup.probability (0.2), since an image is mixed in one way only, got 0.4',
    ],
    [
      { mixup: {} },
      { memory: {} },
      'mixup: cannot be combined with method.memory, since a memory bank stores embeddings of unmixed images; set one of the two to null',
    ],
    [{ views: 'own' }, {}, 'views: expected one of shared, independent, got "own"'],
    [
      { colorJitter: {} },
      {},
      'colorJitter: unknown key, did you mean colourJitter? (the keys of data.augmentation are cropPadding, resizedCrop, horizontalFlip, randAugment, colourJitter, greyscale, blur, erasing, mixup, cutmix, views)',
    ],
  ])('refuses augmentation %o', (augmentation, method, problem) => {
    const data = { dataset: 'fashion-mnist', augmentation };
    expect(problemsOf({ ...minimal, data, method: { name: 'mcl', ...method } })).toEqual([
      `data.augmentation.${problem}`,
    ]);
  });

  it.each<[object, string]>([
    [
      { validationImages: 1.5 },
      'validationImages: expected a whole number of images, or a share below 1, got 1.5',
    ],
    [{ validationImages: 0 }, 'validationImages: expected a number above 0, or null, got 0'],
    [
      { sampler: { name: 'class-balanced', imagesPerClass: 65 } },
      'sampler.imagesPerClass: expected at most train.batchSize (64), got 65',
    ],
    [
      { sampler: { name: 'balanced' } },
      'sampler.name: expected one of shuffled, class-balanced, got "balanced"',
    ],
    [
      { sampler: { imagesPerClass: 4 } },
      'sampler.imagesPerClass: imagesPerClass belongs to class-balanced, not to shuffled; the keys of data.sampler are name',
    ],
  ])('refuses data %o', (data, problem) => {
    expect(problemsOf({ ...minimal, data: { dataset: 'fashion-mnist', ...data } })).toEqual([
      `data.${problem}`,
    ]);
  });
});
