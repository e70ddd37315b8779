/** Everything that a training works with, built from its recipe: images, cohort, optimizers, schedule, loaders. */
import { assertArithmetic, engineInfo, seedDefaultGenerator, type nn, type optim } from '@cohort-ml/torch';
import {
  DataError,
  IMAGE_RESIZE,
  type Batches,
  type ImageDataset,
  type ImagePixels,
  type ImageSplit,
} from '../../data/index.ts';
import { countUnlabelled, hasLabels } from '../../data/labels.ts';
import { methodFacts } from '../../methods/index.ts';
import { recipeAdvice, type ResolvedRecipe } from '../../recipes/index.ts';
import { onlineProbeSchema } from '../../recipes/trainingAids.ts';
import type { NamedOptimizers } from '../../checkpoints/checkpoint.ts';
import type { ImageInfo } from '../../checkpoints/checkpointInfo.ts';
import { cohortModules, createCohort, type Cohort } from '../../cohort/cohort.ts';
import {
  createEvaluationLoader,
  createHeldOutLoader,
  createMemoryLoader,
  createTrainingLoader,
  createViewLoader,
  loadRecipeData,
  type RecipeData,
} from '../../cohort/images.ts';
import { GradientClipping } from '../loop/gradientClipping.ts';
import { applyDevice } from '../../cohort/device.ts';
import { applyThreads, describeMachine, type MachineDescription } from '../../cohort/environment.ts';
import type { TaskEvaluation } from '../loop/loopSetup.ts';
import type { OnlineProbe } from '../loop/onlineProbe.ts';
import type { SelfSupervisedMeasures } from '../loop/selfSupervised.ts';
import { createOptimizer, createSchedule } from '../loop/optimizer.ts';
import { describeProvenance, type Provenance } from '../../checkpoints/provenance.ts';
import type { Reporter } from '../../progress/reporter.ts';
import type { Placement } from '../../topology/index.ts';
import type { Plan } from '../distributed/plan.ts';
import type { Ranks } from '../distributed/ranks.ts';

/** What a run is started with besides its recipe. */
export interface TrainOptions {
  /** The command line, for the record. */
  readonly command: string;
  /** Ends the training between two steps. */
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** Ends the training after this many seconds too, counted from before the first step. */
  readonly stopAfterSeconds?: number;
  /** Event files for TensorBoard: `true` for a folder inside the run, else the folder that gets one sub-folder per run. */
  readonly tensorboard?: string | true;
  /** The other ranks, where the networks are spread over several. */
  readonly ranks?: Ranks;
  /** Is told the run's folder as soon as there is one. */
  readonly onRunFolder?: (path: string) => void;
}

/** What is built for a training. */
export interface Session {
  readonly recipe: ResolvedRecipe;
  readonly cohort: Cohort;
  readonly modules: readonly (readonly [string, nn.AnyModule])[];
  readonly optimizer: optim.Optimizer;
  /** Limits gradients as the recipe says; null where it does not. */
  readonly clipping: GradientClipping | null;
  /** The loop's optimizer and the method's own, with the names of their files in a checkpoint. */
  readonly optimizers: NamedOptimizers;
  readonly schedule: optim.Schedule;
  readonly training: Batches;
  readonly validation: Batches | null;
  readonly test: Batches;
  readonly heldOut: Batches | null;
  readonly onlineProbe: OnlineProbe | null;
  /** What a cohort that learns without labels is measured on; null for all others. */
  readonly selfSupervised?: SelfSupervisedMeasures | null;
  /** How the networks of another task than classification are measured. */
  readonly evaluation?: TaskEvaluation;
  readonly images: ImageInfo;
  readonly dataset: ImageDataset<ImagePixels>;
  /** The images that the networks or their method learn from. */
  readonly learnedFrom: readonly ImageSplit<ImagePixels>[];
  readonly provenance: Provenance;
  readonly machine: MachineDescription;
  /** The other ranks, where the networks are spread over several. */
  readonly ranks?: Ranks;
  /** What a training on ranks will do, for sessions that know more of it than their recipe says. */
  readonly plan?: (placement: Placement) => Plan;
  /** Whether the time limit has passed. */
  readonly isTimeOver: () => boolean;
  /** Releases everything. */
  dispose(): void;
}

/** Builds what a training works with. */
export type SessionOpener = (
  recipe: ResolvedRecipe,
  options: TrainOptions,
  from?: Pick<ImageInfo, 'normalisation'> | null,
) => Promise<Session>;

/**
 * Builds it all.
 * @param from the images' normalisation in a checkpoint, whose weights take the place of those that the recipe names
 */
export async function openSession(
  recipe: ResolvedRecipe,
  options: TrainOptions,
  from: Pick<ImageInfo, 'normalisation'> | null = null,
): Promise<Session> {
  const startedAt = performance.now();
  const { reporter, stopAfterSeconds = Infinity } = options;
  const device = applyDevice(recipe);
  assertArithmetic();
  applyThreads(recipe, reporter);
  seedDefaultGenerator(recipe.seed);
  const loaded = await loadRecipeData(recipe, { signal: options.signal, reporter });
  const data = { ...loaded, ...(from === null ? {} : { normalisation: from.normalisation }) };
  const { dataset, normalisation } = data;
  assertLabels(recipe, dataset);
  const cohort = createCohort(
    from === null ? recipe : withoutWeights(recipe),
    { classes: dataset.classes.length, channels: dataset.channels, classNames: dataset.classes },
    dataset.train.labels,
    (text) => {
      reporter.message(text);
    },
    options.ranks?.exchange,
  );
  const { notice = null } = cohort.method;
  if (notice !== null) reporter.message(notice);
  for (const advice of recipeAdvice(recipe)) reporter.warning(advice);
  const modules = cohortModules(recipe, cohort);
  const own = Object.entries(cohort.method.optimizers ?? {});
  const optimizer = createOptimizer(
    recipe,
    modules.map(([, module]) => module),
    own.map(([, each]) => each),
  );
  const { gradientClipping } = recipe.train;
  const clipping =
    gradientClipping === null
      ? null
      : new GradientClipping(
          gradientClipping,
          [...cohort.networks, ...Object.values(cohort.method.modules)],
          optimizer.parameters,
          options.ranks && ((parameters) => options.ranks?.gradientNorms(parameters) ?? []),
        );
  const optimizers: NamedOptimizers = [
    ['optimizer', optimizer],
    ...own.map(([name, each]): [string, optim.Optimizer] => [`optimizer-${name}`, each]),
  ];
  const training = createTrainingLoader(recipe, data);
  const validation =
    dataset.validation === undefined ? null : createEvaluationLoader(recipe, data, 'validation');
  assertValidation(recipe, validation);
  const test = createEvaluationLoader(recipe, data, 'test');
  const heldOut = createHeldOutLoader(recipe, data);
  assertOtherBatches(cohort, training, recipe);
  const { probe } = recipe.train;

  const memory = probe === null ? null : createMemoryLoader(recipe, data, probe.trainImages);
  const onlineProbe =
    memory === null || probe === null
      ? null
      : { settings: probe, classes: dataset.classes.length, memory, queries: validation ?? test };
  const selfSupervised = isSelfSupervised(recipe) ? openSelfSupervised(recipe, data) : null;
  const { classes, channels, height, width } = dataset;
  return {
    recipe,
    cohort,
    modules,
    optimizer,
    clipping,
    optimizers,
    training,
    validation,
    test,
    heldOut,
    onlineProbe,
    selfSupervised,
    schedule: createSchedule(recipe),
    dataset,
    learnedFrom: [dataset.train, ...(data.heldOut === undefined ? [] : [data.heldOut])],
    images: {
      classes,
      channels,
      height,
      width,
      normalisation,
      fit: dataset.fit ?? 'fill',
      resize: IMAGE_RESIZE,
    },
    provenance: describeProvenance(recipe, dataset, options.ranks?.shards),
    machine: describeMachine(engineInfo(), device),
    ...(options.ranks === undefined ? {} : { ranks: options.ranks }),
    isTimeOver: () => performance.now() - startedAt >= stopAfterSeconds * 1000,
    dispose: () => {
      for (const [, module] of modules) module.dispose();
      for (const [, each] of optimizers) each.dispose();
      training.dispose();
      validation?.dispose();
      test.dispose();
      heldOut?.dispose();
      memory?.dispose();
      selfSupervised?.views.dispose();
      selfSupervised?.neighbours?.memory.dispose();
      dataset.dispose?.();
    },
  };
}

/** The recipe without weights to start from: the checkpoint's are loaded afterwards. */
function withoutWeights(recipe: ResolvedRecipe): ResolvedRecipe {
  return { ...recipe, networks: recipe.networks.map((network) => ({ ...network, weights: null })) };
}

function isSelfSupervised({ method }: ResolvedRecipe): boolean {
  return methodFacts(method.name)?.isSelfSupervised === true;
}

/** How neighbours vote without a section `train.probe`. */
const defaultVotes = onlineProbeSchema.parse({});

function openSelfSupervised(recipe: ResolvedRecipe, data: RecipeData): SelfSupervisedMeasures {
  const { k, temperature, trainImages } = recipe.train.probe ?? defaultVotes;
  const { classes } = data.dataset;
  return {
    views: createViewLoader(recipe, data),
    neighbours: hasLabels(data.dataset)
      ? { memory: createMemoryLoader(recipe, data, trainImages), classes: classes.length, k, temperature }
      : null,
  };
}

/** Classifiers cannot learn from images without labels. */
function assertLabels(recipe: ResolvedRecipe, { train, unlabelledClass }: ImageDataset<ImagePixels>): void {
  if (unlabelledClass === undefined || isSelfSupervised(recipe)) return;
  const unlabelled = countUnlabelled(train, { unlabelledClass });
  throw new DataError('argument', {
    operation: `setting up method ${recipe.method.name}`,
    expected: 'images with labels to learn from',
    received: `${unlabelled} of ${train.count} training images without one`,
    remedy:
      'Set method to one that learns without labels, e.g. moco-mcl, or data.dataset to folder, which reads labelled images alone.',
  });
}

/** @throws {DataError} for early stopping without validation images */
export function assertValidation(recipe: ResolvedRecipe, validation: Batches | null): void {
  if (validation !== null || recipe.train.earlyStopping === null) return;
  throw new DataError('argument', {
    operation: 'setting up early stopping',
    expected: 'validation images, since test images must not influence training',
    received: 'a dataset without, and data.validationImages null',
    remedy: 'Set data.validationImages, e.g. to 0.1, or train.earlyStopping to null.',
  });
}

function assertOtherBatches(cohort: Cohort, training: Batches, recipe: ResolvedRecipe): void {
  if (training.batchCount >= 2 || cohort.method.wantsOtherBatch?.(0) !== true) return;
  throw new DataError('argument', {
    operation: 'setting up meta steps',
    expected: 'two or more batches per epoch for an outer batch of other images',
    received: `${training.batchCount} of ${recipe.train.batchSize} images`,
    remedy: 'Set method.meta.outerBatch to same, or lower train.batchSize.',
  });
}
