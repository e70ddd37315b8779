/** Proposes a recipe for a folder of images: networks by size and number of the images, a schedule by their number, MCL. */
import { TABLE_ENDING } from '../data/folder/tables/tableEnding.ts';
import { basename, resolve } from 'node:path';
import { stringify } from 'yaml';
import type { ImageSurvey } from '../data/folder/survey.ts';
import { applyOverrides, parseOverrides } from './overrides.ts';
import { parseRecipe } from './load.ts';
import type { ModelName } from '../models/registry.ts';
import type { RecipeInput, ResolvedRecipe } from './schema.ts';

/** A recipe with the text to show and to save. */
export interface ProposedRecipe {
  readonly recipe: ResolvedRecipe;
  /** YAML with a heading that says what it was made for. */
  readonly text: string;
}

/** From this many large photos on there is enough to learn from for networks that look at larger pictures. */
const MANY_IMAGES = 20_000;

/**
 * Proposes a recipe. Overrides count more than the proposal; an override of `train.epochs` also sets what depends on it.
 * @param start what the networks start from; fresh weights unless given
 * @throws RecipeError for overrides that are wrong.
 */
export function proposeRecipe(
  survey: ImageSurvey,
  overrides: readonly string[] = [],
  start: StartingPoint | null = null,
): ProposedRecipe {
  const parsed = parseOverrides(overrides);
  const epochs = parsed.findLast(({ path }) => path.join('.') === 'train.epochs')?.value;
  const fresh = propose(survey, typeof epochs === 'number' && epochs >= 1 ? Math.floor(epochs) : null);
  const proposal = start === null ? fresh : startingFrom(fresh, start);
  const source = `the recipe proposed for ${survey.path}`;
  const recipe = parseRecipe(stringify(proposal), source, overrides);
  const { data } = applyOverrides(proposal, parsed);
  return { recipe, text: `${heading(survey)}${stringify(data, { lineWidth: 0 })}` };
}

/** Networks that were trained before, for a training that starts from them. */
export interface StartingPoint {
  /** Models and weights, in order. */
  readonly networks: RecipeInput['networks'];
  /** Side of the images that they were trained on; null: decided from the images. */
  readonly imageSize: number | null;
}

function startingFrom(fresh: RecipeInput, { networks, imageSize }: StartingPoint): RecipeInput {
  return { ...fresh, networks, data: { ...fresh.data, ...(imageSize === null ? {} : { imageSize }) } };
}

function heading({ path, images, classes, shorterSide }: ImageSurvey): string {
  return [
    `# Proposed by cohort train for ${path}: ${images.toLocaleString('en-US')} images of ${classes.length} classes,`,
    `# half of them with ${shorterSide} pixels or more on the shorter side.`,
    '# Mirrored images keep their label: turn horizontalFlip off where that is wrong (text, digits, arrows).',
    '',
  ].join('\n');
}

function propose(survey: ImageSurvey, wantedEpochs: number | null): RecipeInput {
  const { trainingImages } = survey;
  const isLarge = isLargeSet(survey);
  const [height, width] = isLarge ? [128, 128] : [survey.height, survey.width];
  const model = proposeModel(isLarge, trainingImages);
  const epochs = wantedEpochs ?? proposeEpochs(trainingImages);
  const batchSize = proposeBatchSize(trainingImages);
  const needsPairs = lacksPairs(survey, batchSize);
  return {
    name: proposeName(survey.path),
    data: {
      dataset: 'folder',
      path: resolve(survey.path),
      // Images that are all the same and no square keep their own size.
      ...(height === width ? { imageSize: height } : {}),
      augmentation: {
        cropPadding: Math.max(1, Math.floor(Math.min(height, width) / 8)),
        horizontalFlip: true,
      },
      ...(needsPairs ? { sampler: { name: 'class-balanced', imagesPerClass: 2 } } : {}),
    },
    networks: [{ model }, { model }],
    method: {
      name: 'mcl',
      weights: { logit: 1 },
      ...(needsPairs ? { temperature: 0.07 } : {}),
      rampUpEpochs: Math.floor(epochs / 2),
    },
    train: {
      epochs,
      batchSize,
      // Smaller batches are noisier and want smaller steps.
      ...(batchSize < 64 ? { optimizer: { learningRate: (0.1 * batchSize) / 64 } } : {}),
      evaluateEveryEpochs: Math.max(1, Math.floor(epochs / 20)),
    },
  };
}

function proposeName(path: string): string {
  const name = basename(resolve(path)).replace(TABLE_ENDING, '');
  return name.slice(0, 100) || 'photos';
}

/**
 * Whether a shuffled batch would hold fewer than two images of most classes, so that contrast finds hardly a positive. The
 * answer is the published one for CIFAR-100, class-balanced batches and temperature 0.07, with which MCL was measured there
 * (docs/results.md). Where classes are of very different size it would change how often each is seen: then it is no.
 */
function lacksPairs({ classes, images }: ImageSurvey, batchSize: number): boolean {
  const largest = Math.max(...classes.map(({ count }) => count));
  return classes.length * 2 > batchSize && batchSize >= 32 && largest <= (2 * images) / classes.length;
}

/** Whether there are many large photos. */
export function isLargeSet({ shorterSide, trainingImages }: ImageSurvey): boolean {
  return shorterSide >= 128 && trainingImages >= MANY_IMAGES;
}

/** A model that so many training images suffice for. */
export function proposeModel(isLarge: boolean, images: number): ModelName {
  if (isLarge) return 'imagenet-shufflenetv2-1x';
  if (images < 2000) return 'resnet8';
  return images < MANY_IMAGES ? 'resnet20' : 'resnet32';
}

/** Few images need many passes; docs/decisions/004 has what was measured with a thousand. */
function proposeEpochs(images: number): number {
  if (images < 2000) return 100;
  if (images < 10_000) return 60;
  return images < 50_000 ? 40 : 30;
}

/** The most, or for small sets the largest power of two of which an epoch has two batches. */
export function proposeBatchSize(images: number, most = 64): number {
  return Math.min(most, 2 ** Math.max(1, Math.floor(Math.log2(Math.max(2, images / 2)))));
}
