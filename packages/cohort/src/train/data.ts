/** The images of a recipe: loaded, cut to its subsets, and handed out in batches for training and for testing. */
import {
  BatchLoader,
  loadDataset,
  splitStatistics,
  stratifiedSubset,
  type DatasetOptions,
  type ImageDataset,
  type ImagePixels,
  type ImageSplit,
  type Normalisation,
} from '../data/index.ts';
import { designSizeOf } from '../models/names.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';

/** Images of a recipe: the subsets that it asks for and what they are normalised with. */
export interface RecipeData {
  readonly dataset: ImageDataset<ImagePixels>;
  readonly normalisation: Normalisation;
}

/** Batches for evaluation may be larger than for training: nothing is kept for backward. */
const evaluationBatchSize = 250;

/** Loads the images of a recipe. @throws {DataError} for missing or damaged files and subsets that are too large. */
export async function loadRecipeData(
  recipe: ResolvedRecipe,
  options: Pick<DatasetOptions, 'reporter' | 'signal'> = {},
): Promise<RecipeData> {
  const { path, imageSize, cache, strict } = recipe.data;
  const designSize = designSizeOf(recipe.networks.map(({ model }) => model));
  const whole = await loadDataset(recipe.data.dataset, {
    path,
    imageSize,
    cache,
    strict,
    designSize,
    ...options,
  });
  const subset = (split: 'train' | 'test'): ImageSplit<ImagePixels> => {
    const setting = `${split}Images` as const;
    const options = { count: recipe.data[setting], seed: recipe.seed, setting: `data.${setting}` };
    return stratifiedSubset(whole[split], whole, options);
  };
  const dataset: ImageDataset<ImagePixels> = { ...whole, train: subset('train'), test: subset('test') };
  return { dataset, normalisation: splitStatistics(dataset.train, dataset) };
}

/** The batches that a cohort is measured on: the test images, in order and complete. */
export function createTestLoader(recipe: ResolvedRecipe, data: RecipeData): BatchLoader {
  const { dataset, normalisation } = data;
  return new BatchLoader(dataset.test, {
    shape: dataset,
    batchSize: Math.min(evaluationBatchSize, dataset.test.count),
    normalisation,
    channelsLast: recipe.train.channelsLast,
  });
}

/** The batches that a cohort learns from: shuffled every epoch, augmented, full ones only. */
export function createTrainingLoader(recipe: ResolvedRecipe, data: RecipeData): BatchLoader {
  const { dataset, normalisation } = data;
  return new BatchLoader(dataset.train, {
    shape: dataset,
    batchSize: recipe.train.batchSize,
    normalisation,
    seed: recipe.seed,
    shuffle: true,
    dropLast: true,
    augmentation: recipe.data.augmentation,
    channelsLast: recipe.train.channelsLast,
  });
}
