/** The single training loop: epochs of steps, schedule, evaluation and checkpoints, the same for every method. */
import { setImmediate } from 'node:timers/promises';
import { scope, threads, type optim } from '@cohort/torch';
import type { BatchLoader } from '../data/index.ts';
import { ensembleOf, evaluateCohort, type CohortScore } from '../evaluate/accuracy.ts';
import {
  measureRepresentations,
  representationImages,
  type HeldOutEmbeddings,
  type RepresentationMeasures,
} from '../evaluate/representation.ts';
import type { LabelledImages, StepInput } from '../methods/index.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
import { cohortModules, type Cohort } from './cohort.ts';
import { workOnHeldOut } from './heldOut.ts';
import { RunningMeans } from './means.ts';
import { networksAtOnce } from './networksAtOnce.ts';
import type { NetworkAccuracy, Reporter } from './reporter.ts';
import { assertFinite, NotFiniteError, trainStep, type TermValues } from './step.ts';

/** What the loop records, to be written wherever the caller keeps its runs. */
export interface LoopRecorder {
  step(record: { epoch: number; step: number; values: TermValues }): void;
  epoch(record: { epoch: number; step: number; values: Record<string, number> }): void;
  checkpoint(position: { epoch: number; step: number }): void;
}

/** Everything the loop works with. */
export interface LoopSetup {
  readonly recipe: ResolvedRecipe;
  readonly cohort: Cohort;
  readonly optimizer: optim.Optimizer;
  readonly schedule: optim.Schedule;
  readonly training: BatchLoader;
  /** Measured while training; null where there is no validation split and the test images stand in. */
  readonly validation: BatchLoader | null;
  /** Beside validation images, measured once after the last epoch. */
  readonly test: BatchLoader;
  /** Images that are neither trained on nor measured, for methods that work on held-out ones. */
  readonly heldOut?: BatchLoader | null;
  readonly reporter: Reporter;
  readonly recorder: LoopRecorder;
  readonly signal: AbortSignal;
}

/** Scores of the same weights on the splits; null where they have not been measured. */
export interface SplitScores {
  readonly validation: CohortScore | null;
  readonly test: CohortScore | null;
}

/** How a training ended. */
export interface LoopOutcome {
  readonly status: 'finished' | 'interrupted';
  readonly epochs: number;
  readonly steps: number;
  /** Scores of the last evaluation. */
  readonly scores: SplitScores;
  readonly imagesPerSecond: number;
}

/** Trains the cohort. Between steps the event loop runs, so that Ctrl-C and displays work. */
export async function trainCohort(setup: LoopSetup): Promise<LoopOutcome> {
  const { recipe, cohort, training, recorder, signal } = setup;
  const { epochs, evaluateEveryEpochs, checkpointEveryEpochs } = recipe.train;
  const clock = new TrainingClock(epochs * training.imageCount);
  let scores: SplitScores = { validation: null, test: null };
  let diagnosis: string | undefined;
  // What was learned since the last checkpoint would be lost otherwise.
  const stop = (epochsDone: number): LoopOutcome => {
    const { steps, imagesPerSecond } = clock;
    if (steps > 0) recorder.checkpoint({ epoch: epochsDone, step: steps });
    return { status: 'interrupted', epochs: epochsDone, steps, scores, imagesPerSecond };
  };
  for (const [, module] of cohortModules(recipe, cohort)) module.train();
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    if (epoch > 0) await workOnHeldOut(setup);
    cohort.method.beforeEpoch?.(epoch);
    const startedAt = performance.now();
    const learningRate = setup.schedule(epoch);
    setup.reporter.epochStart({ epoch: epoch + 1, epochs, stepsPerEpoch: training.batchCount, learningRate });
    const means = await trainEpoch(setup, epoch, clock);
    if (means === null) return stop(epoch);
    const isLast = epoch + 1 === epochs;
    let representations: RepresentationMeasures | null = null;
    const isEvaluated = isLast || (epoch + 1) % evaluateEveryEpochs === 0;
    if (isEvaluated) {
      const measured = await measure(setup, isLast, `after epoch ${epoch + 1}, step ${clock.steps}`);
      ({ scores, representations } = measured);
    }
    const seconds = (performance.now() - startedAt) / 1000;
    reportEpoch(
      setup,
      { epoch: epoch + 1, seconds, terms: means, scores: isEvaluated ? scores : null, representations },
      clock,
    );
    const found = cohort.method.diagnose?.(means, recipe.train.batchSize);
    // Told when it begins: the same words after every epoch would bury all else.
    if (found !== undefined && diagnosis === undefined) setup.reporter.warning(found);
    diagnosis = found;
    if (signal.aborted && !isLast) return stop(epoch + 1);
    if (isLast || (epoch + 1) % checkpointEveryEpochs === 0) {
      recorder.checkpoint({ epoch: epoch + 1, step: clock.steps });
    }
  }
  return { status: 'finished', epochs, steps: clock.steps, scores, imagesPerSecond: clock.imagesPerSecond };
}

/**
 * Measures on validation images where there are any, and then on test images only at the end. Embeddings are compared on
 * the images that every evaluation is on.
 */
async function measure(
  setup: LoopSetup,
  isLast: boolean,
  where: string,
): Promise<{ scores: SplitScores; representations: RepresentationMeasures | null }> {
  const { cohort, validation, test } = setup;
  const { names, method } = cohort;
  const measures: RepresentationMeasures[] = [];
  const heldOut = {
    images: representationImages,
    take: (embeddings: HeldOutEmbeddings): void => {
      measures.push(measureRepresentations(embeddings, names, method.contrastSpace));
    },
  };
  const on = async (loader: BatchLoader, split: string): Promise<CohortScore> => {
    const score = await evaluateCohort(method.deployed ?? cohort.networks, loader, {
      pause: () => setImmediate(),
      ensemble: ensembleOf(cohort),
      ...(measures.length === 0 ? { heldOut } : {}),
    });
    assertScoreFinite(score, cohort, `on the ${split} images`, where);
    return score;
  };
  const scores = {
    validation: validation === null ? null : await on(validation, 'validation'),
    test: validation === null || isLast ? await on(test, 'test') : null,
  };
  return { scores, representations: measures[0] ?? null };
}

/** Weights can be finite and yet so large that nothing which comes out of them is. */
function assertScoreFinite(score: CohortScore, cohort: Cohort, images: string, where: string): void {
  for (const [index, { negativeLogLikelihood: value }] of score.networks.entries()) {
    if (Number.isFinite(value)) continue;
    const name = cohort.names[index] ?? '';
    throw new NotFiniteError(`The negative log-likelihood of ${name} ${images} became ${value} ${where}`);
  }
}

/** Counts what was done and measures how fast, training steps only. */
class TrainingClock {
  steps = 0;
  images = 0;
  #trainingMs = 0;
  readonly #totalImages: number;

  constructor(totalImages: number) {
    this.#totalImages = totalImages;
  }

  add(images: number, durationMs: number): void {
    this.steps += 1;
    this.images += images;
    this.#trainingMs += durationMs;
  }

  get imagesPerSecond(): number {
    return this.#trainingMs === 0 ? 0 : (this.images / this.#trainingMs) * 1000;
  }

  get secondsLeft(): number {
    return this.imagesPerSecond === 0 ? 0 : (this.#totalImages - this.images) / this.imagesPerSecond;
  }
}

/** One epoch; the means of every term, or null when it was interrupted. */
async function trainEpoch(setup: LoopSetup, epoch: number, clock: TrainingClock): Promise<TermValues | null> {
  const { recipe, cohort, optimizer, schedule, training, reporter, recorder, signal } = setup;
  const { method, topology } = cohort;
  const means = new RunningMeans();
  const wanted = recipe.train.networksAtOnce;
  const atOnce = wanted === 'auto' ? networksAtOnce(cohort.networks, threads()) : wanted;
  for (let number = 0; number < training.batchCount; number += 1) {
    // The first handler for a signal can only run between steps.
    await setImmediate();
    if (signal.aborted) return null;
    const startedAt = performance.now();
    const wantsOther = cohort.method.wantsOtherBatch?.(clock.steps) === true;
    await training.ready(epoch, number, wantsOther ? [otherNumber(training, number)] : []);
    optimizer.learningRate = schedule(epoch + number / training.batchCount);
    const where = `in epoch ${epoch + 1}, step ${clock.steps + 1}`;
    const values = scope(() => {
      const batch = training.batch(epoch, number);
      const input: StepInput = { ...batch, epoch: epoch + number / training.batchCount };
      const result = trainStep(
        { method, topology, optimizer, precision: recipe.train.precision, networksAtOnce: atOnce },
        input,
        where,
      );
      const measured = cohort.method.afterStep?.(input, {
        step: clock.steps,
        learningRate: optimizer.learningRate,
        otherBatch: () => otherBatch(training, epoch, number),
      });
      for (const [name, value] of Object.entries(measured ?? {})) assertFinite(name, value, where, 'measure');
      return { ...result, ...measured };
    });
    clock.add(recipe.train.batchSize, performance.now() - startedAt);
    means.add(values);
    recorder.step({ epoch: epoch + 1, step: clock.steps, values });
    reporter.step({
      epoch: epoch + 1,
      epochs: recipe.train.epochs,
      step: number + 1,
      stepsPerEpoch: training.batchCount,
      imagesPerSecond: clock.imagesPerSecond,
      secondsLeft: clock.secondsLeft,
      terms: values,
    });
  }
  return means.values();
}

/** A batch half an epoch away: where every image comes once an epoch, none stands in both. */
function otherBatch(training: BatchLoader, epoch: number, number: number): LabelledImages {
  return training.batch(epoch, otherNumber(training, number));
}

function otherNumber({ batchCount }: BatchLoader, number: number): number {
  return (number + Math.floor(batchCount / 2)) % batchCount;
}

interface EpochResult {
  /** From 1. */
  readonly epoch: number;
  readonly seconds: number;
  readonly terms: TermValues;
  /** Null where nothing was measured. */
  readonly scores: SplitScores | null;
  readonly representations: RepresentationMeasures | null;
}

function reportEpoch(setup: LoopSetup, result: EpochResult, clock: TrainingClock): void {
  const { recipe, cohort, optimizer, reporter, recorder } = setup;
  const { epoch, seconds, terms, scores, representations } = result;
  const test = accuraciesOf(cohort, scores?.test ?? null);
  const validation = accuraciesOf(cohort, scores?.validation ?? null);
  const named = (prefix: string, accuracies: readonly NetworkAccuracy[]): [string, number][] =>
    accuracies.map(({ name, accuracy }) => [`${prefix}/${name}`, accuracy]);
  const speed = { learningRate: optimizer.learningRate, imagesPerSecond: clock.imagesPerSecond };
  const measured = Object.fromEntries([
    ...named('validationAccuracy', validation),
    ...named('accuracy', test),
  ]);
  const gathered = { ...cohort.method.epochMetrics?.(), ...representations?.values };
  const sharedInformation = representations?.sharedInformation ?? null;
  recorder.epoch({ epoch, step: clock.steps, values: { ...terms, ...measured, ...gathered, ...speed } });
  reporter.epochEnd({
    epoch,
    epochs: recipe.train.epochs,
    seconds,
    ...speed,
    secondsLeft: clock.secondsLeft,
    terms,
    ...(validation.length > 0
      ? { accuracies: validation, areValidation: true }
      : test.length > 0
        ? { accuracies: test }
        : {}),
    ...(sharedInformation === null ? {} : { sharedInformation }),
  });
}

/** Accuracy of every network and, last, of the ensemble; empty where nothing was measured. */
function accuraciesOf(cohort: Cohort, score: CohortScore | null): NetworkAccuracy[] {
  if (score === null) return [];
  return [...cohort.names, 'ensemble'].map((name, index) => ({
    name,
    accuracy: (score.networks[index] ?? score.ensemble).accuracy,
  }));
}
