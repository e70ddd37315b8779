/** A proposed recipe is valid for every set of images, follows its size and number, and gives way to overrides. */
import { describe, expect, it } from 'vitest';
import type { ImageSurvey } from '../data/folder/survey.ts';
import { RecipeError } from './errors.ts';
import { parseRecipe } from './load.ts';
import { proposeRecipe } from './propose.ts';

const survey = (changes: Partial<ImageSurvey> = {}): ImageSurvey => ({
  path: '/pictures/my photos',
  images: 1250,
  classes: [
    { name: 'cat', count: 625 },
    { name: 'dog', count: 625 },
  ],
  trainingImages: 1000,
  hasTestSplit: false,
  shorterSide: 375,
  height: 64,
  width: 64,
  ...changes,
});

describe('proposeRecipe', () => {
  it('is a pair of small networks taught by MCL, with the settings that were measured for a thousand images', () => {
    const { recipe, text } = proposeRecipe(survey());
    expect(recipe).toMatchObject({
      name: 'my photos',
      data: {
        dataset: 'folder',
        path: '/pictures/my photos',
        imageSize: 64,
        augmentation: { cropPadding: 8, horizontalFlip: true },
      },
      networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
      method: { name: 'mcl', weights: { logit: 1 }, rampUpEpochs: 50 },
      train: { epochs: 100, batchSize: 64, precision: 'float32', evaluateEveryEpochs: 5 },
    });
    expect(text).toMatch(
      /^# Proposed by cohort train for \/pictures\/my photos: 1,250 images of 2 classes,\n/,
    );
    expect(parseRecipe(text)).toEqual(recipe);
  });

  it.each([
    [{ trainingImages: 5000 }, { model: 'resnet20', epochs: 60, imageSize: 64 }],
    [
      { trainingImages: 30_000, shorterSide: 32, height: 32, width: 32 },
      { model: 'resnet32', epochs: 40, imageSize: 32 },
    ],
    [{ trainingImages: 100_000 }, { model: 'imagenet-shufflenetv2-1x', epochs: 30, imageSize: 128 }],
    [
      { height: 20, width: 28 },
      { model: 'resnet8', epochs: 100, imageSize: null },
    ],
  ])('follows size and number: %j', (changes, expected) => {
    const { recipe } = proposeRecipe(survey(changes));
    expect(recipe.networks.map(({ model }) => model)).toEqual([expected.model, expected.model]);
    expect(recipe.train.epochs).toBe(expected.epochs);
    expect(recipe.data.imageSize).toBe(expected.imageSize);
  });

  it.each([
    [2, 2],
    [20, 8],
    [100, 32],
    [129, 64],
    [100_000, 64],
  ])('takes batches that %i images fill', (trainingImages, batchSize) => {
    const { train } = proposeRecipe(survey({ trainingImages })).recipe;
    expect(train.batchSize).toBe(batchSize);
    expect(train.optimizer.learningRate).toBeCloseTo((0.1 * batchSize) / 64);
  });

  describe('with more classes than a batch has pairs for', () => {
    const classes = (counts: readonly number[]): ImageSurvey['classes'] =>
      counts.map((count, index) => ({ name: `class ${index}`, count }));
    const of = (
      counts: readonly number[],
      trainingImages = 5000,
    ): ReturnType<typeof proposeRecipe>['recipe'] =>
      proposeRecipe(
        survey({ classes: classes(counts), images: counts.reduce((a, b) => a + b), trainingImages }),
      ).recipe;

    it('has two images of a class in a batch, and the temperature published for CIFAR-100', () => {
      const { data, method } = of(Array.from({ length: 100 }, () => 60));
      expect(data.sampler).toEqual({ name: 'class-balanced', imagesPerClass: 2 });
      expect(method).toMatchObject({ name: 'mcl', temperature: 0.07 });
    });

    it.each([
      ['few classes', Array.from({ length: 32 }, () => 160)],
      ['a class far larger than the others', [1000, ...Array.from({ length: 99 }, () => 50)]],
    ])('but shuffles with %s', (_, counts) => {
      const { data, method } = of(counts);
      expect(data.sampler).toEqual({ name: 'shuffled' });
      expect(method).toMatchObject({ name: 'mcl', temperature: 0.1 });
    });

    it('but shuffles where batches are tiny', () => {
      expect(
        of(
          Array.from({ length: 20 }, () => 1),
          20,
        ).data.sampler,
      ).toEqual({ name: 'shuffled' });
    });
  });

  it('gives way to overrides, and lets the ramp-up follow the epochs', () => {
    const { recipe, text } = proposeRecipe(survey(), [
      'train.epochs=9',
      'networks.1.model=resnet14',
      'seed=4',
    ]);
    expect(recipe.train).toMatchObject({ epochs: 9, evaluateEveryEpochs: 1 });
    expect(recipe.method).toMatchObject({ rampUpEpochs: 4 });
    expect(recipe.networks[1]?.model).toBe('resnet14');
    expect(parseRecipe(text)).toEqual(recipe);
    expect(() => proposeRecipe(survey(), ['train.epoch=9'])).toThrow(RecipeError);
    expect(() => proposeRecipe(survey(), ['train.epoch=9'])).toThrow(
      'the recipe proposed for /pictures/my photos: train.epoch (from the command line): unknown key, did you mean epochs?',
    );
  });
});
