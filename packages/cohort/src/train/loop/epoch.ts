/** The steps of one epoch: batch, loss, optimizer, the method's own part; each recorded, and a checkpoint when it is due. */
import { setImmediate } from 'node:timers/promises';
import { currentDevice, scope, seedDefaultGenerator, threads } from '@cohort-ml/torch';
import type { Batches } from '../../data/index.ts';
import { hashKeys, RANDOM_PURPOSE } from '../../data/loading/random.ts';
import type { LabelledImages, StepInput } from '../../methods/index.ts';
import type { TrainingClock } from '../../progress/clock.ts';
import { cohortModules } from '../../cohort/cohort.ts';
import { Buffers, type Guards } from './guards.ts';
import type { LoopSetup } from './loopSetup.ts';
import type { RunningMeans } from './means.ts';
import { networksAtOnce } from '../../cohort/networksAtOnce.ts';
import { NotFiniteError } from '../../support/notFiniteError.ts';
import { at } from '../../support/at.ts';
import { assertFinite, trainStep, trainStepUnread, type TermValues } from './step.ts';
import { readSteps, UnreadStep } from './unreadStep.ts';

/** An epoch under way. */
export interface EpochTools {
  /** Epochs done. */
  readonly epoch: number;
  /** The first batch that is still to be done. */
  readonly fromBatch: number;
  readonly means: RunningMeans;
  readonly clock: TrainingClock;
  readonly guards: Guards;
  readonly isStopping: () => boolean;
  /** Called after a step that a checkpoint should follow, with the number of batches done. */
  readonly checkpoint: (batch: number) => Promise<void>;
}

/**
 * Trains what is left of an epoch.
 * @returns null at its end, or the number of batches done when it was stopped
 */
export async function trainEpoch(setup: LoopSetup, tools: EpochTools): Promise<number | null> {
  const { recipe, training, reporter, recorder } = setup;
  const { epoch, clock, guards } = tools;
  const every = stepsBetweenReads(setup, guards);
  clock.beginEpoch();
  const waiting: WaitingStep[] = [];
  let terms: TermValues = {};
  /** Records steps whose values are still on the device; before anything that is to outlast the process. */
  const settle = (): void => {
    for (const step of finish(setup, tools, waiting)) guards.taken(step.total, step.where);
  };
  for (let number = tools.fromBatch; number < training.batchCount; number += 1) {
    // The first handler for a signal can only run between steps.
    await setImmediate();
    if (tools.isStopping()) {
      settle();
      return number;
    }
    const startedAt = performance.now();
    if (!(await fetchBatch(setup, tools, number))) {
      settle();
      return number;
    }
    let taken: TakenStep | null;
    try {
      taken = takeStep(setup, tools, number, every > 1);
    } catch (error) {
      // An earlier step may be the cause.
      settle();
      throw error;
    }
    clock.add(recipe.train.batchSize, performance.now() - startedAt);
    waiting.push({ taken, step: clock.steps, where: placeOf(epoch, clock.steps) });
    const finished = waiting.length < every ? [] : finish(setup, tools, waiting);
    terms = taken === null ? {} : (finished.at(-1)?.values ?? terms);
    reporter.step({
      epoch: epoch + 1,
      epochs: recipe.train.epochs,
      step: number + 1,
      stepsPerEpoch: training.batchCount,
      imagesPerSecond: clock.recentImagesPerSecond,
      secondsLeft: clock.secondsLeft,
      terms,
    });
    for (const { total, where } of finished) guards.taken(total, where);
    if (recorder.wantsCheckpoint(null)) {
      settle();
      await tools.checkpoint(number + 1);
    }
  }
  settle();
  return null;
}

/** A step that is taken and not yet recorded. */
interface WaitingStep {
  /** Null where it was not finite and is left out. */
  readonly taken: TakenStep | null;
  /** Its number, from 1. */
  readonly step: number;
  readonly where: string;
}

/** A step whose values are known. */
interface FinishedStep {
  readonly values: TermValues;
  readonly total: number;
  readonly where: string;
}

/** How many steps a graphics card may be ahead of what is known of them. */
const stepsAhead = 20;

/** After how many steps values are read: after each where that costs nothing, or where it has to be known. */
function stepsBetweenReads({ recipe, ranks }: LoopSetup, guards: Guards): number {
  if (guards.isSkipping || ranks !== undefined) return 1;
  return recipe.train.logEverySteps ?? (currentDevice() === 'cpu' ? 1 : stepsAhead);
}

/**
 * Reads what is on the device of the steps, and records them in their order.
 *
 * @throws {NotFiniteError} naming the first step that was not finite; those before it are recorded
 */
function finish(
  { recorder }: LoopSetup,
  { epoch, means }: EpochTools,
  waiting: WaitingStep[],
): FinishedStep[] {
  const steps = waiting.splice(0);
  const unread = steps.flatMap(({ taken }) => (taken?.values instanceof UnreadStep ? [taken.values] : []));
  const numbers = readSteps(unread);
  const finished: FinishedStep[] = [];
  for (const { taken, step, where } of steps) {
    if (taken === null) {
      recorder.step({ epoch: epoch + 1, step, values: { skipped: 1 } });
      continue;
    }
    const { measured, isMethodSkipped } = taken;
    const own =
      taken.values instanceof UnreadStep ? taken.values.finish(numbers.shift() ?? []) : taken.values;
    const values = { ...own, ...measured };
    means.add(values);
    recorder.step({
      epoch: epoch + 1,
      step,
      values: isMethodSkipped ? { ...values, skippedMethodStep: 1 } : values,
    });
    if (values.total !== undefined) finished.push({ values, total: values.total, where });
  }
  return finished;
}

/** Whether the batch is ready; false if the training should end first. */
async function fetchBatch(
  { cohort, recipe, training, ranks }: LoopSetup,
  { epoch, clock, guards, isStopping }: EpochTools,
  number: number,
): Promise<boolean> {
  const wantsOther = cohort.method.wantsOtherBatch?.(clock.steps) === true;
  const others = wantsOther ? [otherNumber(training, number)] : [];
  return guards.awaitBatch(
    training.ready(epoch, number, others),
    `batch ${number + 1} of epoch ${epoch + 1} of ${recipe.data.dataset}`,
    // Ranks stop together, between two steps.
    ranks === undefined ? isStopping : undefined,
  );
}

/** A step that was taken. */
interface TakenStep {
  /** Of the loss terms, and of what the method measured with them. */
  readonly values: TermValues | UnreadStep;
  /** What the method measured after the step. */
  readonly measured: TermValues;
  /** Whether the method's own step after it was not finite and is left out. */
  readonly isMethodSkipped: boolean;
}

/** One step; null when it was not finite and is left out. */
function takeStep(setup: LoopSetup, tools: EpochTools, number: number, isUnread: boolean): TakenStep | null {
  const { recipe, cohort, optimizer, clipping = null, schedule, training, ranks } = setup;
  const { epoch, clock, guards } = tools;
  optimizer.learningRate = schedule(epoch + number / training.batchCount);
  // Draws without a generator of their own then depend on the step alone and need no saved state.
  seedDefaultGenerator(hashKeys(RANDOM_PURPOSE.step, recipe.seed, clock.steps));
  const where = placeOf(epoch, clock.steps + 1);
  const wanted = recipe.train.networksAtOnce;
  const isOnCard = currentDevice().startsWith('cuda');
  const here =
    ranks?.ownNetworks.map((index) => at(cohort.networks, index, 'the networks')) ?? cohort.networks;
  const most = ranks?.canRunTogether === false ? 1 : here.length;
  // A graphics card is kept busy by its own queues; threads would only wait for one another.
  const atOnce = isOnCard ? 1 : Math.min(wanted === 'auto' ? networksAtOnce(here, threads()) : wanted, most);
  const onStreams = isOnCard && wanted !== 'auto' && wanted > 1;
  return scope(() => {
    const batch = training.batch(epoch, number);
    const input: StepInput = { ...batch, epoch: epoch + number / training.batchCount };
    const buffers = guards.isSkipping ? new Buffers(cohortModules(recipe, cohort)) : null;
    const state = guards.isSkipping ? cohort.method.state?.save() : undefined;
    let values: TermValues | UnreadStep;
    try {
      const { method, topology } = cohort;
      const { precision } = recipe.train;
      const shared = ranks && {
        sum: ranks.sum,
        agreeOnValues: (values: TermValues) => ranks.agreeOnValues(values),
        completeGradients: () => {
          ranks.completeGradients(cohort);
        },
      };
      const stepTools = {
        method,
        topology,
        optimizer,
        clipping,
        precision,
        networksAtOnce: atOnce,
        onStreams,
      };
      const step = (own: StepInput): TermValues => trainStep({ ...stepTools, ranks: shared }, own, where);
      if (isUnread) values = trainStepUnread(stepTools, input, where);
      else values = ranks === undefined ? step(input) : ranks.trainingStep(input, step);
    } catch (error) {
      if (buffers === null || !(error instanceof NotFiniteError)) throw error;
      buffers.restore();
      if (state !== undefined) cohort.method.state?.restore(state);
      guards.skipped(error);
      return null;
    }
    const afterStep = (): Readonly<Record<string, number>> | undefined =>
      cohort.method.afterStep?.(input, {
        step: clock.steps,
        learningRate: optimizer.learningRate,
        precision: recipe.train.precision,
        otherBatch: () => otherBatch(training, epoch, number),
      });
    const measured = ranks === undefined ? afterStep() : ranks.afterStep(cohort, clock.steps, afterStep);
    if (measured === undefined) return { values, measured: {}, isMethodSkipped: false };
    try {
      for (const [name, value] of Object.entries(measured)) assertFinite(name, value, where, 'measure');
    } catch (error) {
      // The method has changed nothing in that case, and the step before it was fine.
      if (!guards.isSkipping || !(error instanceof NotFiniteError)) throw error;
      guards.methodSkipped(error);
      return { values, measured: {}, isMethodSkipped: true };
    }
    guards.methodTaken();
    return { values, measured, isMethodSkipped: false };
  });
}

function placeOf(epoch: number, step: number): string {
  return `in epoch ${epoch + 1}, step ${step}`;
}

/** A batch half an epoch away: where every image comes once an epoch, none stands in both. */
function otherBatch(training: Batches, epoch: number, number: number): LabelledImages {
  return training.batch(epoch, otherNumber(training, number));
}

function otherNumber({ batchCount }: Batches, number: number): number {
  return (number + Math.floor(batchCount / 2)) % batchCount;
}
