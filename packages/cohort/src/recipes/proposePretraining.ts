/** Proposes a recipe for pictures without labels: two networks that learn by momentum contrast and from each other. */
import { basename, resolve } from 'node:path';
import { stringify } from 'yaml';
import type { PictureSurvey } from '../data/folder/survey.ts';
import { parseRecipe } from './load.ts';
import { applyOverrides, parseOverrides } from './overrides.ts';
import { isLargeSet, proposeBatchSize, proposeModel, type ProposedRecipe } from './propose.ts';
import type { RecipeInput } from './schema.ts';

/** From this side on, blur takes away detail that networks could hold on to; smaller pictures have none to spare. */
const BLURRED_SIDE = 64;

/**
 * Proposes a recipe. Overrides count more than the proposal; those of `train.epochs` and `method.name` also set what depends on
 * them.
 * @throws RecipeError for overrides that are wrong.
 */
export function proposePretraining(survey: PictureSurvey, overrides: readonly string[] = []): ProposedRecipe {
  const parsed = parseOverrides(overrides);
  const given = (place: string): unknown => parsed.findLast(({ path }) => path.join('.') === place)?.value;
  const epochs = given('train.epochs');
  const wanted = typeof epochs === 'number' && epochs >= 1 ? Math.floor(epochs) : null;
  const proposal = propose(survey, wanted, given('method.name'));
  const source = `the recipe proposed for ${survey.path}`;
  const recipe = parseRecipe(stringify(proposal), source, overrides);
  const { data } = applyOverrides(proposal, parsed);
  return { recipe, text: `${heading(survey)}${stringify(data, { lineWidth: 0 })}` };
}

function heading({ path, images, classes, unlabelledImages, shorterSide }: PictureSurvey): string {
  const labels =
    classes.length === 0
      ? '# No labels are needed and none were found: alignment, uniformity and effective rank show progress.'
      : `# The labels of ${(images - unlabelledImages).toLocaleString('en-US')} of them (${classes.length} classes) measure progress; nothing is learned from them.`;
  return [
    `# Proposed by cohort pretrain for ${path}: ${images.toLocaleString('en-US')} pictures,`,
    `# half of them with ${shorterSide} pixels or more on the shorter side.`,
    labels,
    '# Two mirrored or recoloured views count as the same: turn horizontalFlip or colourJitter off where that is wrong.',
    '',
  ].join('\n');
}

function propose(survey: PictureSurvey, wantedEpochs: number | null, method: unknown): RecipeInput {
  const { trainingImages } = survey;
  const isLarge = isLargeSet(survey);
  const [height, width] = isLarge ? [128, 128] : [survey.height, survey.width];
  const model = proposeModel(isLarge, trainingImages);
  const epochs = wantedEpochs ?? proposeEpochs(trainingImages);
  const batchSize = proposeBatchSize(trainingImages, 128);
  const side = Math.min(height, width);
  return {
    name: `${basename(resolve(survey.path)).slice(0, 80) || 'photos'}-pretraining`,
    data: {
      dataset: 'unlabelled',
      path: resolve(survey.path),
      ...(height === width ? { imageSize: height } : {}),
      // As published for MoCo v2; pixels of the blur in proportion to the side.
      augmentation: {
        resizedCrop: { scale: [0.2, 1] },
        horizontalFlip: true,
        colourJitter: { probability: 0.8 },
        greyscale: { probability: 0.2 },
        ...(side < BLURRED_SIDE ? {} : { blur: { sigma: [0.1, Number((side / 112).toFixed(2))] } }),
      },
    },
    networks: [{ model }, { model }],
    method: proposeMethod(method, Math.floor(epochs / 10)),
    train: {
      epochs,
      batchSize,
      optimizer: { learningRate: (0.06 * batchSize) / 128, nesterov: false },
      evaluateEveryEpochs: Math.max(1, Math.floor(epochs / 20)),
    },
  };
}

/** The section for the method that was asked for; of a method that is not known, the name alone, which is then refused. */
function proposeMethod(name: unknown, rampUpEpochs: number): RecipeInput['method'] {
  // Keys that move as slowly as published would hardly have moved at the end of so short a training.
  const momentum = { head: 'mlp', temperature: 0.1, keyMomentum: 0.99 } as const;
  const stacked = { temperature: 0.2 };
  switch (name) {
    case undefined:
    case 'moco-mcl':
      return { name: 'moco-mcl', ...momentum, rampUpEpochs };
    case 'moco':
      return { name, ...momentum };
    case 'simclr':
      return { name, ...stacked };
    case 'simclr-mcl':
      return { name, ...stacked, rampUpEpochs };
    default:
      return { name: 'moco-mcl' };
  }
}

function proposeEpochs(images: number): number {
  if (images < 10_000) return 200;
  return images < 50_000 ? 100 : 50;
}
