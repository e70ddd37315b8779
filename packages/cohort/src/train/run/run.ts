/** One run: a recipe from data to a finished run folder. */
import { createRun, type RunWriter } from '@cohort-ml/runs';
import { stringifyRecipe, withAbsolutePaths, type ResolvedRecipe } from '../../recipes/index.ts';
import { Checkpointer } from '../../checkpoints/checkpointer.ts';
import type { TrainingState } from '../../checkpoints/checkpointInfo.ts';
import { withConfusions } from './confusionRecord.ts';
import { writeResampledScores } from '../../evaluate/resampledScores.ts';
import { writeCorrectness } from '../../evaluate/correctnessFile.ts';
import { describeCost } from '../../cohort/cost.ts';
import { trainCohort, type LoopOutcome, type LoopProgress } from '../loop/loop.ts';
import { joinTraining, shareStart } from '../distributed/follow.ts';
import { sharedRecorder } from '../distributed/recorder.ts';
import { describeTraffic } from '../distributed/traffic.ts';
import { createRecorder } from './recorder.ts';
import { result, selfSupervisedResult, summary, type TrainResult } from './runResult.ts';
import { assertRoomForRun } from './roomForRun.ts';
import { RunRecords } from './runRecords.ts';
import { recordTrainedImages } from './trainedImages.ts';
import { openSession, type Session, type SessionOpener, type TrainOptions } from './session.ts';
import { NotFiniteError } from '../../support/notFiniteError.ts';

export type { Accuracies, TrainResult } from './runResult.ts';
export type { TrainOptions } from './session.ts';

/**
 * Trains a recipe and writes its run folder.
 *
 * @param open builds what is trained; a classifier's session unless given
 * @throws typed errors of data, losses, files and engine
 */
export async function trainRun(
  recipe: ResolvedRecipe,
  options: TrainOptions,
  open: SessionOpener = openSession,
): Promise<TrainResult> {
  const records = new RunRecords(options);
  const reported: TrainOptions = { ...options, reporter: records.reporter };
  // Decoding may take long, so check first that the run can be kept.
  assertRoomForRun(recipe, recipe.runs);
  const { ranks } = options;
  if (ranks !== undefined) shareStart(ranks, { kind: 'new' });
  const session = await open(recipe, reported);
  let run: RunWriter;
  try {
    if (ranks !== undefined) joinTraining(session, { ranks, reporter: reported.reporter }, null);
    run = createRun({
      root: recipe.runs,
      name: recipe.name,
      recipe: stringifyRecipe(withAbsolutePaths(recipe)),
      environment: session.machine,
      command: options.command,
    });
  } catch (error) {
    session.dispose();
    throw error;
  }
  return trainSession(session, run, reported, records);
}

/**
 * Trains what has been built, to the end or until it is stopped, and ends the run folder accordingly; releases all.
 * @param records of the run, whose reporter the options have
 * @param from where to continue, for a run that is resumed
 */
export async function trainSession(
  session: Session,
  run: RunWriter,
  options: TrainOptions,
  records: RunRecords,
  from: { readonly progress: LoopProgress; readonly training: TrainingState } | null = null,
): Promise<TrainResult> {
  const { recipe, cohort, modules, optimizers, validation } = session;
  const { reporter, signal } = options;
  records.attach(run, stringifyRecipe(recipe));
  recordTrainedImages(run.path, session.dataset, session.learnedFrom, reporter);
  const startedAt = performance.now() - (from?.training.elapsedMs ?? 0);
  const checkpointer = new Checkpointer({
    run,
    parts: { modules, optimizers, generator: cohort.generator },
    settings: recipe.train,
    warn: (text) => {
      reporter.warning(text);
    },
  });
  const own = createRecorder({ session, run, checkpointer, startedAt, reporter });
  const { ranks } = session;
  const warn = (text: string): void => {
    reporter.warning(text);
  };
  const recorder =
    ranks === undefined ? own : sharedRecorder({ ranks, session }, own, { path: run.path, warn });
  options.onRunFolder?.(run.path);
  try {
    const outcome = await trainCohort({
      ...session,
      recorder,
      reporter,
      signal,
      ...(from === null ? {} : { from: from.progress }),
    });
    await checkpointer.close();
    const seconds = (performance.now() - startedAt) / 1000;
    const withoutLabels = selfSupervisedResult(cohort, outcome, session.selfSupervised ?? null);
    const more = withoutLabels === null ? {} : { selfSupervised: withoutLabels };
    if (outcome.status === 'finished') {
      const correctness = outcome.scores.test?.correctness;
      if (correctness !== undefined) writeCorrectness(run.path, cohort.names, correctness);
      recordResampled(run, session, outcome);
      const cost = describeCost(cohort, session.images);
      const content = {
        ...summary(cohort, outcome, seconds, validation !== null, cost),
        ...more,
        ...scoreOf(session),
        ...(ranks === undefined ? {} : { distributed: describeTraffic(ranks) }),
      };
      run.finish(withConfusions(content, run.path, reporter));
    } else run.interrupt();
    return {
      ...result(run.path, cohort, outcome, seconds, validation !== null),
      ...more,
      ...scoreOf(session),
    };
  } catch (thrown) {
    // Pending writes finish first: no other process may resume the run before.
    await checkpointer.close().catch(() => undefined);
    const error = thrown instanceof NotFiniteError ? thrown.withLastGood(run.lastGoodCheckpoint) : thrown;
    run.fail(error);
    throw error;
  } finally {
    session.dispose();
  }
}

/** What stands for a network, where it is not its accuracy. */
function scoreOf({ evaluation }: Session): { readonly scoreName?: string } {
  return evaluation === undefined ? {} : { scoreName: evaluation.scoreName };
}

/** What the main score of a task comes to on test images drawn with replacement, where it was measured. */
function recordResampled(
  run: RunWriter,
  { cohort, dataset }: Session,
  { scores: { test } }: LoopOutcome,
): void {
  if (test?.resampled === undefined) return;
  const { images, resampled } = test;
  const named = [...cohort.names, 'ensemble'].map((name, index) => [name, resampled[index] ?? []] as const);
  writeResampledScores(run.path, { images, imagesSha256: dataset.contentDigest ?? '' }, named);
}
