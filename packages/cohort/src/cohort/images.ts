/** The images of a recipe: loaded, split, cut to its subsets, and handed out in batches for training and for measuring. */
import {
  BatchLoader,
  DataError,
  loadDataset,
  splitStatistics,
  splitValidation,
  stratifiedSubset,
  type DatasetOptions,
  type ImageDataset,
  type ImagePixels,
  type ImageSplit,
  type Normalisation,
} from '../data/index.ts';
import { heldOutImages, methodFacts } from '../methods/registry.ts';
import { designSizeOf } from '../models/registry.ts';
import { hasLabels, labelledImages } from '../data/labels.ts';
import { hashKeys, RANDOM_PURPOSE } from '../data/loading/random.ts';
import { takeImages } from '../data/loading/subset.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';

/** Images of a recipe: the subsets that it asks for and what they are normalised with. */
export interface RecipeData {
  readonly dataset: ImageDataset<ImagePixels>;
  readonly normalisation: Normalisation;
  /** Training images that the method wanted held out, where there is no validation split for it. */
  readonly heldOut?: ImageSplit<ImagePixels>;
}

/** The splits that networks can be measured on. */
export const SPLITS = ['train', 'validation', 'test'] as const;

/** Name of a split. */
export type SplitName = (typeof SPLITS)[number];

/** Batches for evaluation may be larger than for training: nothing is kept for backward. */
const evaluationBatchSize = 250;

/**
 * Loads the images of a recipe: validation images are split off the training images first, then the subsets are taken.
 * @throws {DataError} for missing or damaged files and subsets that are too large.
 */
export async function loadRecipeData(
  recipe: ResolvedRecipe,
  options: Pick<DatasetOptions, 'reporter' | 'signal'> = {},
): Promise<RecipeData> {
  const { path, imageSize, cache, strict, followLinks } = recipe.data;
  const designSize = designSizeOf(recipe.networks.map(({ model }) => model));
  const settings = { path, imageSize, cache, strict, followLinks, designSize };
  const loaded = await loadDataset(recipe.data.dataset, { ...settings, ...options });
  const whole = withValidation(loaded, recipe, options.reporter);
  const subset = (split: 'train' | 'test'): ImageSplit<ImagePixels> => {
    const setting = `${split}Images` as const;
    const options = { count: recipe.data[setting], seed: recipe.seed, setting: `data.${setting}` };
    return stratifiedSubset(whole[split], whole, options);
  };
  const dataset: ImageDataset<ImagePixels> = { ...whole, train: subset('train'), test: subset('test') };
  const wanted = heldOutImages(recipe.method);
  if (wanted === null || whole.validation !== undefined) {
    return { dataset, normalisation: splitStatistics(dataset.train, dataset) };
  }
  const { train, validation } = splitValidation(dataset.train, dataset, {
    images: wanted,
    seed: recipe.seed,
    setting: 'method.heldOutImages',
    otherwise: 'where data.validationImages is set, those are taken instead',
  });
  return {
    dataset: { ...dataset, train },
    normalisation: splitStatistics(train, dataset),
    heldOut: validation,
  };
}

/** A dataset's own validation images serve as they are; `data.validationImages` takes others from the training images. */
function withValidation(
  dataset: ImageDataset<ImagePixels>,
  { data, seed }: ResolvedRecipe,
  reporter: DatasetOptions['reporter'],
): ImageDataset<ImagePixels> {
  if (data.validationImages === null) return dataset;
  if (dataset.validation !== undefined) {
    reporter?.warning(
      `data.validationImages takes validation images from the training images: the ${dataset.validation.count} that the dataset has for it are not used. Set it to null to use them.`,
    );
  }
  return { ...dataset, ...splitValidation(dataset.train, dataset, { images: data.validationImages, seed }) };
}

/**
 * The batches that a cohort is measured on: a split in order and complete, as it is.
 * @throws {DataError} `missing` for validation images where there are none.
 */
export function createEvaluationLoader(
  recipe: ResolvedRecipe,
  data: RecipeData,
  name: SplitName,
): BatchLoader {
  const split = data.dataset[name];
  if (split === undefined) {
    throw new DataError('missing', {
      operation: 'measuring on validation images',
      expected: 'a validation split',
      received: 'a recipe without one',
      remedy: 'Measure on test or train, or train with data.validationImages.',
    });
  }
  return wholeSplitLoader(recipe, data, split);
}

/** The batches of training images that were held out for the method; null where none were. */
export function createHeldOutLoader(recipe: ResolvedRecipe, data: RecipeData): BatchLoader | null {
  return data.heldOut === undefined ? null : wholeSplitLoader(recipe, data, data.heldOut);
}

/**
 * The batches of training images that a probe knows the labels of, without augmentation; a stratified subset of so many.
 *
 * @param trainImages as in the recipe's `train.probe`; null: all that have a label
 * @throws {DataError} `missing` where no image has a label
 */
export function createMemoryLoader(
  recipe: ResolvedRecipe,
  data: RecipeData,
  trainImages: number | null,
): BatchLoader {
  if (!hasLabels(data.dataset)) {
    throw new DataError('missing', {
      operation: 'setting up the online probe',
      expected: 'training images of two or more classes',
      received: 'images without labels',
      remedy:
        'Set train.probe to null; alignment, uniformity and effective rank show progress without labels.',
    });
  }
  const train = labelledImages(data.dataset.train, data.dataset);
  const count = trainImages === null ? null : Math.min(trainImages, train.count);
  const setting = 'train.probe.trainImages';
  return wholeSplitLoader(
    recipe,
    data,
    stratifiedSubset(train, data.dataset, { count, seed: recipe.seed, setting }),
  );
}

/** Held-out images whose views are compared in the course of a training without labels. */
const viewedImages = 500;

/** Two views each of held-out images, evenly spaced, with the recipe's augmentation: the same after every epoch. */
export function createViewLoader(
  recipe: ResolvedRecipe,
  { dataset, normalisation }: RecipeData,
): BatchLoader {
  const split = dataset.validation ?? dataset.test;
  const count = Math.min(viewedImages, split.count);
  const rows = Int32Array.from({ length: count }, (_, row) => Math.floor((row * split.count) / count));
  const chosen = takeImages(split, dataset, rows);
  return new BatchLoader(chosen, {
    shape: dataset,
    batchSize: Math.min(evaluationBatchSize, chosen.count),
    normalisation,
    seed: hashKeys(RANDOM_PURPOSE.heldOutViews, recipe.seed),
    augmentation: { ...recipe.data.augmentation, views: 'shared' },
    viewsPerImage: 2,
    channelsLast: recipe.train.channelsLast,
  });
}

function wholeSplitLoader(
  recipe: ResolvedRecipe,
  { dataset, normalisation }: RecipeData,
  split: ImageSplit<ImagePixels>,
): BatchLoader {
  return new BatchLoader(split, {
    shape: dataset,
    batchSize: Math.min(evaluationBatchSize, split.count),
    normalisation,
    channelsLast: recipe.train.channelsLast,
  });
}

/** The batches that a cohort learns from: sampled every epoch, augmented, full ones only. */
export function createTrainingLoader(recipe: ResolvedRecipe, data: RecipeData): BatchLoader {
  const { dataset, normalisation } = data;
  return new BatchLoader(dataset.train, {
    shape: dataset,
    batchSize: recipe.train.batchSize,
    normalisation,
    seed: recipe.seed,
    sampler: recipe.data.sampler,
    dropLast: true,
    augmentation: recipe.data.augmentation,
    networks: recipe.networks.length,
    viewsPerImage: methodFacts(recipe.method.name)?.isSelfSupervised === true ? 2 : 1,
    channelsLast: recipe.train.channelsLast,
  });
}
