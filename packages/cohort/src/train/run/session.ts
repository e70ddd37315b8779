/** Everything that a training works with, built from its recipe: images, cohort, optimizers, schedule, loaders. */
import { assertArithmetic, engineInfo, seedDefaultGenerator, type nn, type optim } from '@cohort-ml/torch';
import {
  DataError,
  IMAGE_RESIZE,
  type BatchLoader,
  type ImageDataset,
  type ImagePixels,
  type ImageSplit,
} from '../../data/index.ts';
import { recipeAdvice, type ResolvedRecipe } from '../../recipes/index.ts';
import type { NamedOptimizers } from '../../checkpoints/checkpoint.ts';
import type { ImageInfo } from '../../checkpoints/checkpointInfo.ts';
import { cohortModules, createCohort, type Cohort } from '../../cohort/cohort.ts';
import {
  createEvaluationLoader,
  createHeldOutLoader,
  createProbeMemoryLoader,
  createTrainingLoader,
  loadRecipeData,
} from '../../cohort/images.ts';
import { GradientClipping } from '../loop/gradientClipping.ts';
import { applyDevice } from '../../cohort/device.ts';
import { applyThreads, describeMachine, type MachineDescription } from '../../cohort/environment.ts';
import type { OnlineProbe } from '../loop/onlineProbe.ts';
import { createOptimizer, createSchedule } from '../loop/optimizer.ts';
import { describeProvenance, type Provenance } from '../../checkpoints/provenance.ts';
import type { Reporter } from '../../progress/reporter.ts';

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
  readonly training: BatchLoader;
  readonly validation: BatchLoader | null;
  readonly test: BatchLoader;
  readonly heldOut: BatchLoader | null;
  readonly onlineProbe: OnlineProbe | null;
  readonly images: ImageInfo;
  readonly dataset: ImageDataset<ImagePixels>;
  /** The images that the networks or their method learn from. */
  readonly learnedFrom: readonly ImageSplit<ImagePixels>[];
  readonly provenance: Provenance;
  readonly machine: MachineDescription;
  /** Whether the time limit has passed. */
  readonly isTimeOver: () => boolean;
  /** Releases everything. */
  dispose(): void;
}

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
  const cohort = createCohort(
    from === null ? recipe : withoutWeights(recipe),
    { classes: dataset.classes.length, channels: dataset.channels, classNames: dataset.classes },
    dataset.train.labels,
    (text) => {
      reporter.message(text);
    },
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
  const memory = createProbeMemoryLoader(recipe, data);
  const { probe } = recipe.train;
  const onlineProbe =
    memory === null || probe === null
      ? null
      : { settings: probe, classes: dataset.classes.length, memory, queries: validation ?? test };
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
    provenance: describeProvenance(recipe, dataset),
    machine: describeMachine(engineInfo(), device),
    isTimeOver: () => performance.now() - startedAt >= stopAfterSeconds * 1000,
    dispose: () => {
      for (const [, module] of modules) module.dispose();
      for (const [, each] of optimizers) each.dispose();
      training.dispose();
      validation?.dispose();
      test.dispose();
      heldOut?.dispose();
      memory?.dispose();
      dataset.dispose?.();
    },
  };
}

/** The recipe without weights to start from: the checkpoint's are loaded afterwards. */
function withoutWeights(recipe: ResolvedRecipe): ResolvedRecipe {
  return { ...recipe, networks: recipe.networks.map((network) => ({ ...network, weights: null })) };
}

function assertValidation(recipe: ResolvedRecipe, validation: BatchLoader | null): void {
  if (validation !== null || recipe.train.earlyStopping === null) return;
  throw new DataError('argument', {
    operation: 'setting up early stopping',
    expected: 'validation images, since test images must not influence training',
    received: 'a dataset without, and data.validationImages null',
    remedy: 'Set data.validationImages, e.g. to 0.1, or train.earlyStopping to null.',
  });
}

function assertOtherBatches(cohort: Cohort, training: BatchLoader, recipe: ResolvedRecipe): void {
  if (training.batchCount >= 2 || cohort.method.wantsOtherBatch?.(0) !== true) return;
  throw new DataError('argument', {
    operation: 'setting up meta steps',
    expected: 'two or more batches per epoch for an outer batch of other images',
    received: `${training.batchCount} of ${recipe.train.batchSize} images`,
    remedy: 'Set method.meta.outerBatch to same, or lower train.batchSize.',
  });
}
