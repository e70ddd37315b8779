/** One run: a recipe from data to a finished run folder. */
import { resolve } from 'node:path';
import { createRun, type RunWriter } from '@cohort/runs';
import { engineInfo, seedDefaultGenerator, type nn, type optim } from '@cohort/torch';
import { DataError } from '../data/index.ts';
import type { CohortScore, Score } from '../evaluate/accuracy.ts';
import { recipeAdvice, stringifyRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import {
  assertWeightsFinite,
  writeCheckpoint,
  type CheckpointInfo,
  type NamedOptimizers,
} from './checkpoint.ts';
import { cohortModules, createCohort, type Cohort } from './cohort.ts';
import { createEvaluationLoader, createHeldOutLoader, createTrainingLoader, loadRecipeData } from './data.ts';
import { applyThreads, describeMachine } from './environment.ts';
import { trainCohort, type LoopOutcome, type LoopRecorder } from './loop.ts';
import { createOptimizer, createSchedule } from './optimizer.ts';
import type { Reporter } from './reporter.ts';
import { RunRecords } from './runRecords.ts';
import { NotFiniteError } from './step.ts';

/** What a run is started with, beside its recipe. */
export interface TrainOptions {
  /** The command line, for the record. */
  readonly command: string;
  /** Ends the training between two steps. */
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** Event files for TensorBoard: `true` for a folder inside the run, else the folder that gets one sub-folder a run. */
  readonly tensorboard?: string | true;
}

/** What came out of a run. */
export interface TrainResult {
  readonly status: 'finished' | 'interrupted';
  readonly runFolder: string;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Every network's accuracies. */
  readonly networks: readonly ({ readonly name: string } & Accuracies)[];
  readonly ensemble: Accuracies;
}

/** Accuracies at the last evaluation, 0 to 1. */
export interface Accuracies {
  /** Null when interrupted before test images were looked at. */
  readonly testAccuracy: number | null;
  /** Absent without a validation split; null when interrupted before any evaluation. */
  readonly validationAccuracy?: number | null;
}

/** Trains a recipe and writes its run folder. @throws typed errors of data, losses, files and engine. */
export async function trainRun(recipe: ResolvedRecipe, options: TrainOptions): Promise<TrainResult> {
  const records = new RunRecords(options);
  const { reporter } = records;
  applyThreads(recipe, reporter);
  seedDefaultGenerator(recipe.seed);
  const data = await loadRecipeData(recipe, { signal: options.signal, reporter });
  const { dataset, normalisation } = data;
  const cohort = createCohort(
    recipe,
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
  const optimizer = createOptimizer(
    recipe,
    modules.map(([, module]) => module),
    Object.values(cohort.method.optimizers ?? {}),
  );
  const schedule = createSchedule(recipe);
  const training = createTrainingLoader(recipe, data);
  const validation =
    dataset.validation === undefined ? null : createEvaluationLoader(recipe, data, 'validation');
  const test = createEvaluationLoader(recipe, data, 'test');
  const heldOut = createHeldOutLoader(recipe, data);
  if (training.batchCount < 2 && cohort.method.wantsOtherBatch?.(0) === true) {
    throw new DataError('argument', {
      operation: 'setting up meta steps',
      expected: 'two or more batches an epoch for an outer batch of other images',
      received: `${training.batchCount} of ${recipe.train.batchSize} images`,
      remedy: 'Set method.meta.outerBatch to same, or lower train.batchSize.',
    });
  }
  const run = createRun({
    root: recipe.runs,
    name: recipe.name,
    recipe: stringifyRecipe(withAbsolutePaths(recipe)),
    environment: describeMachine(engineInfo()),
    command: options.command,
  });
  records.attach(run, stringifyRecipe(recipe));
  const startedAt = performance.now();
  const recorder = createRecorder(
    run,
    modules,
    namedOptimizers(optimizer, cohort),
    startedAt,
    (position) => ({
      version: 1,
      ...position,
      classes: dataset.classes,
      channels: dataset.channels,
      height: dataset.height,
      width: dataset.width,
      normalisation,
      fit: dataset.fit ?? 'fill',
    }),
  );
  try {
    const outcome = await trainCohort({
      recipe,
      cohort,
      optimizer,
      schedule,
      training,
      validation,
      test,
      heldOut,
      reporter,
      recorder,
      signal: options.signal,
    });
    const seconds = (performance.now() - startedAt) / 1000;
    if (outcome.status === 'finished') run.finish(summary(cohort, outcome, seconds, validation !== null));
    else run.interrupt();
    return result(run, cohort, outcome, seconds, validation !== null);
  } catch (thrown) {
    const error = thrown instanceof NotFiniteError ? thrown.withLastGood(run.lastGoodCheckpoint) : thrown;
    run.fail(error);
    throw error;
  } finally {
    for (const [, module] of modules) module.dispose();
    for (const [, each] of namedOptimizers(optimizer, cohort)) each.dispose();
    training.dispose();
    validation?.dispose();
    test.dispose();
    heldOut?.dispose();
    dataset.dispose?.();
  }
}

/** The recipe as it can be used from any folder: its paths of data and weights count from the current one. */
function withAbsolutePaths(recipe: ResolvedRecipe): ResolvedRecipe {
  const absolute = (path: string | null): string | null => (path === null ? null : resolve(path));
  const networks = recipe.networks.map((network) => ({ ...network, weights: absolute(network.weights) }));
  return { ...recipe, data: { ...recipe.data, path: absolute(recipe.data.path) }, networks };
}

/** The loop's optimizer and the method's own, with the names of their files in a checkpoint. */
function namedOptimizers(optimizer: optim.Optimizer, cohort: Cohort): NamedOptimizers {
  const own = Object.entries(cohort.method.optimizers ?? {});
  return [
    ['optimizer', optimizer],
    ...own.map(([name, each]): [string, optim.Optimizer] => [`optimizer-${name}`, each]),
  ];
}

function createRecorder(
  run: RunWriter,
  modules: readonly (readonly [string, nn.AnyModule])[],
  optimizers: NamedOptimizers,
  startedAt: number,
  checkpointInfo: (position: { epoch: number; step: number }) => CheckpointInfo,
): LoopRecorder {
  const timeMs = (): number => Math.round(performance.now() - startedAt);
  return {
    step: (record) => {
      run.metrics({ kind: 'step', timeMs: timeMs(), ...record });
    },
    epoch: (record) => {
      run.metrics({ kind: 'epoch', timeMs: timeMs(), ...record });
    },
    checkpoint: (position) => {
      // A training that has blown up must not take the place of the last good checkpoint.
      assertWeightsFinite(modules, position);
      run.checkpointFolder('last', (folder) => {
        writeCheckpoint(folder, modules, optimizers, checkpointInfo(position));
      });
    },
  };
}

function summary(
  cohort: Cohort,
  outcome: LoopOutcome,
  seconds: number,
  hasValidation: boolean,
): Record<string, unknown> {
  const { epochs, steps, imagesPerSecond, scores } = outcome;
  const measured = (of: (score: CohortScore) => Score | undefined): Record<string, Score | null> => {
    const value = (score: CohortScore | null): Score | null => (score === null ? null : (of(score) ?? null));
    const test = value(scores.test);
    return hasValidation ? { validation: value(scores.validation), test } : { test };
  };
  return {
    epochs,
    steps,
    seconds,
    imagesPerSecond,
    networks: cohort.names.map((name, index) => ({ name, ...measured((score) => score.networks[index]) })),
    ensemble: measured((score) => score.ensemble),
    ...(cohort.method.leader === undefined ? {} : { leader: cohort.names[cohort.method.leader] }),
  };
}

function result(
  run: RunWriter,
  cohort: Cohort,
  outcome: LoopOutcome,
  seconds: number,
  hasValidation: boolean,
): TrainResult {
  const { validation, test } = outcome.scores;
  const accuracies = (of: (score: CohortScore) => Score | undefined): Accuracies => {
    const value = (score: CohortScore | null): number | null =>
      score === null ? null : (of(score)?.accuracy ?? null);
    const testAccuracy = value(test);
    return hasValidation ? { validationAccuracy: value(validation), testAccuracy } : { testAccuracy };
  };
  return {
    status: outcome.status,
    runFolder: run.path,
    seconds,
    imagesPerSecond: outcome.imagesPerSecond,
    networks: cohort.names.map((name, index) => ({ name, ...accuracies((score) => score.networks[index]) })),
    ensemble: accuracies((score) => score.ensemble),
  };
}
