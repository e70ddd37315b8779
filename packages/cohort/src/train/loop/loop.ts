/** The single training loop: epochs of steps, schedule, evaluation and checkpoints, the same for every method. */
import type { RepresentationMeasures } from '../../evaluate/representation.ts';
import { TrainingClock } from '../../progress/clock.ts';
import { cohortModules } from '../../cohort/cohort.ts';
import { EarlyStopping } from './earlyStopping.ts';
import { trainEpoch } from './epoch.ts';
import { reportEpoch } from './epochReport.ts';
import { Guards } from './guards.ts';
import { leavesEmbeddings } from './heldOutRecords.ts';
import { workOnHeldOut } from './heldOut.ts';
import type { LoopOutcome, LoopProgress, LoopSetup } from './loopSetup.ts';
import { measure, type SplitScores } from './measure.ts';
import { isProbeDue, probeOnline } from './onlineProbe.ts';
import { RunningMeans } from './means.ts';

export type { LoopOutcome, LoopProgress, LoopRecorder, LoopSetup } from './loopSetup.ts';

/** Trains the cohort. Between steps the event loop runs, so that Ctrl-C and displays work. */
export async function trainCohort(setup: LoopSetup): Promise<LoopOutcome> {
  const { recipe, cohort, training, recorder, from } = setup;
  const { epochs, evaluateEveryEpochs, checkpointEveryEpochs } = recipe.train;
  const clock = new TrainingClock(
    epochs * training.imageCount,
    from && { steps: from.step, images: from.images, trainingMs: from.trainingMs },
  );
  const { batchSize } = recipe.train;
  const imagesTogether = setup.ranks?.imagesTogether(batchSize) ?? batchSize;
  const warn = (text: string): void => {
    setup.reporter.warning(text);
  };
  const guards = new Guards(recipe.train.guards, warn, from?.guards);
  const { earlyStopping } = recipe.train;
  const stopping =
    earlyStopping === null ? null : new EarlyStopping(earlyStopping, from?.earlyStopping ?? null);
  let scores: SplitScores = from?.scores ?? { validation: null, test: null };
  let representations: RepresentationMeasures | null = null;
  let diagnosis: string | null = from?.diagnosis ?? null;
  /** 0 to go on, 1 when the time is over, 2 for a signal. */
  let stop = 0;
  const isStopping = (): boolean => {
    const own = setup.signal.aborted ? 2 : setup.isTimeOver?.() === true ? 1 : 0;
    // Whichever rank is asked to stop, all do, after the same step.
    stop = setup.ranks?.largest(own) ?? own;
    return stop > 0;
  };
  const progress = (
    epoch: number,
    batch: number,
    means: RunningMeans,
    validationAccuracy: number | null = null,
  ): LoopProgress => {
    const { steps, ...counted } = clock.state;
    const { state: meansSoFar } = means;
    return {
      epoch,
      batch,
      step: steps,
      ...counted,
      means: meansSoFar,
      diagnosis,
      scores,
      validationAccuracy,
      guards: guards.state,
      earlyStopping: stopping?.state ?? null,
      isStoppedEarly: false,
    };
  };
  const outcome = (status: LoopOutcome['status'], epochsDone: number): LoopOutcome => {
    const { steps, imagesPerSecond } = clock;
    const { skipped: skippedSteps, methodSkipped: skippedMethodSteps } = guards.state;
    const skips = { skippedSteps, skippedMethodSteps };
    return { status, epochs: epochsDone, steps, ...skips, scores, representations, imagesPerSecond };
  };
  // What was learned since the last checkpoint would be lost otherwise.
  const stopAt = async (reached: LoopProgress): Promise<LoopOutcome> => {
    if (reached.step > 0) await recorder.checkpoint(reached, true);
    const isInterrupted = stop === 2;
    // Starting again with the same time limit would never get any further.
    if (!isInterrupted && reached.step === (from?.step ?? 0)) {
      warn('the time limit expired before the first step. Allow more time than the start takes.');
    }
    return outcome(isInterrupted ? 'interrupted' : 'stopped', reached.epoch);
  };
  for (const [, module] of cohortModules(recipe, cohort)) module.train();
  if (from !== undefined) {
    // That of the last step: it is recorded at the end of its epoch, which may come before another step.
    const [epoch, number] =
      from.batch > 0 ? [from.epoch, from.batch - 1] : [from.epoch - 1, training.batchCount - 1];
    if (epoch >= 0) setup.optimizer.learningRate = setup.schedule(epoch + number / training.batchCount);
  }
  for (let epoch = from?.epoch ?? 0; epoch < epochs; epoch += 1) {
    const fromBatch = epoch === from?.epoch ? from.batch : 0;
    const means = new RunningMeans(fromBatch === 0 ? {} : from?.means);
    // A run that is resumed in mid-epoch has what these did in its checkpoint.
    if (fromBatch === 0) {
      if (epoch > 0) await workOnHeldOut(setup);
      cohort.method.beforeEpoch?.(epoch);
    }
    const startedAt = performance.now();
    const learningRate = setup.schedule(epoch);
    setup.reporter.epochStart({ epoch: epoch + 1, epochs, stepsPerEpoch: training.batchCount, learningRate });
    const checkpoint = (batch: number): Promise<void> =>
      recorder.checkpoint(progress(epoch, batch, means), false);
    const batchesDone = await trainEpoch(setup, {
      epoch,
      fromBatch,
      means,
      clock,
      guards,
      isStopping,
      checkpoint,
    });
    if (batchesDone !== null) return await stopAt(progress(epoch, batchesDone, means));
    const isLast = epoch + 1 === epochs;
    const isEvaluated = isLast || (epoch + 1) % evaluateEveryEpochs === 0;
    if (isEvaluated) {
      const where = `after epoch ${epoch + 1}, step ${clock.steps}`;
      // With early stopping, test images are looked at once the best networks are back.
      const recordsEmbeddings =
        recorder.heldOut !== undefined && leavesEmbeddings(epoch + 1, epochs, evaluateEveryEpochs);
      const isFinal = isLast && stopping === null;
      const measured =
        setup.evaluation === undefined
          ? await measure({ ...setup, isStopping, recordsEmbeddings }, isFinal, where)
          : await setup.evaluation.measure(isFinal, where, isStopping);
      // It is measured again when the run is resumed.
      if (measured === null) return await stopAt(progress(epoch, training.batchCount, means));
      ({ scores, representations } = measured);
      if (setup.evaluation === undefined) {
        recorder.heldOut?.({ epoch: epoch + 1, step: clock.steps, ...measured.record });
      }
    }
    const { onlineProbe = null } = setup;
    const probed =
      onlineProbe === null || !isProbeDue(onlineProbe, epoch + 1, epochs)
        ? {}
        : await probeOnline(onlineProbe, cohort, isStopping, `after epoch ${epoch + 1}`);
    if (probed === null) return await stopAt(progress(epoch, training.batchCount, means));
    const seconds = (performance.now() - startedAt) / 1000;
    const terms = means.values();
    reportEpoch(
      setup,
      {
        ...{ epoch: epoch + 1, seconds, terms, probed },
        ...(isEvaluated ? { scores, representations } : { scores: null, representations: null }),
      },
      clock,
    );
    const found = cohort.method.diagnose?.(terms, imagesTogether) ?? null;
    // Reported once, when it begins: repeated after every epoch it would bury everything else.
    if (found !== null && diagnosis === null) warn(found);
    diagnosis = found;
    const accuracy = isEvaluated ? meanAccuracy(scores) : null;
    const isBest =
      isEvaluated && scores.validation !== null
        ? (stopping?.observe(scores.validation, epoch + 1, clock.steps) ?? false)
        : false;
    const reached = progress(epoch + 1, 0, new RunningMeans(), accuracy);
    if (stopping !== null && (isLast || stopping.isOver)) {
      const kept = await keepBest(setup, stopping, reached, isStopping);
      if (kept === null) {
        // Where the last epoch is the best nothing was put back, and its state is still to be saved.
        if (stopping.state?.bestStep === reached.step) {
          return await stopAt(progress(epoch, training.batchCount, means));
        }
        return outcome(stop === 2 ? 'interrupted' : 'stopped', reached.epoch);
      }
      scores = kept.scores;
      const { epoch: bestEpoch } = kept;
      return { ...outcome('finished', epoch + 1), bestEpoch };
    }
    if (isLast) await recorder.checkpoint(reached, true);
    else if (isStopping()) return await stopAt(reached);
    else if (isBest || (epoch + 1) % checkpointEveryEpochs === 0 || recorder.wantsCheckpoint(accuracy)) {
      await recorder.checkpoint(reached, false);
    }
  }
  return outcome('finished', epochs);
}

/**
 * Ends a training with early stopping: puts the networks of its best epoch back, where that is not the last, measures
 * them on all images, and writes them as the last checkpoint.
 *
 * @returns where the training stands now; null where the measuring was interrupted, after which a resumed run comes to
 *   the same end
 */
async function keepBest(
  setup: LoopSetup,
  stopping: EarlyStopping,
  reached: LoopProgress,
  isStopping: () => boolean,
): Promise<LoopProgress | null> {
  const { recipe, cohort, recorder, reporter } = setup;
  const { bestStep, bestEpoch } = stopping.state ?? { bestStep: reached.step, bestEpoch: reached.epoch };
  const isEarly = reached.epoch < recipe.train.epochs;
  if (isEarly)
    reporter.message(
      `training ends after epoch ${reached.epoch}: ${stopping.describe(setup.evaluation?.scoreName)}`,
    );
  const best = bestStep === reached.step ? reached : await recorder.restore(bestStep);
  if (best !== null && best !== reached) reporter.message(`the networks of epoch ${bestEpoch} are kept`);
  for (const [, module] of cohortModules(recipe, cohort)) module.train();
  const at = best ?? reached;
  const recordsEmbeddings = recorder.heldOut !== undefined;
  const where = `with the networks of epoch ${at.epoch}`;
  const measured =
    setup.evaluation === undefined
      ? await measure({ ...setup, isStopping, recordsEmbeddings }, true, where)
      : await setup.evaluation.measure(true, where, isStopping);
  if (measured === null) return null;
  if (setup.evaluation === undefined) {
    recorder.heldOut?.({ epoch: at.epoch, step: at.step, ...measured.record });
  }
  const final: LoopProgress = {
    ...at,
    scores: measured.scores,
    validationAccuracy: meanAccuracy(measured.scores),
    earlyStopping: stopping.state,
    isStoppedEarly: at.epoch < recipe.train.epochs,
  };
  await recorder.checkpoint(final, true);
  return final;
}

/** Mean of the networks on validation images, by which the best weights are chosen: test images choose nothing. */
function meanAccuracy({ validation }: SplitScores): number | null {
  if (validation === null) return null;
  const { networks } = validation;
  return networks.reduce((sum, { accuracy }) => sum + accuracy, 0) / networks.length;
}
