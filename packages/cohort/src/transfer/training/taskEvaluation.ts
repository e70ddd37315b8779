/** Measures a cohort of segmenters or detectors while it trains, alone or as ranks, of which the first does the measuring. */
import { setImmediate } from 'node:timers/promises';
import type { Cohort } from '../../cohort/cohort.ts';
import { imageDraws, roundScores } from '../../evaluate/resampledScores.ts';
import { at } from '../../support/at.ts';
import type { Ranks } from '../../train/distributed/ranks.ts';
import type { TaskEvaluation } from '../../train/loop/loopSetup.ts';
import type { Measured } from '../../train/loop/measure.ts';
import { evaluateTask } from './evaluateTask.ts';
import type { TaskBatches } from './taskBatches.ts';
import type { TaskModel, VisionTask } from './visionTask.ts';

/** What is measured, and on what. */
export interface TaskEvaluationParts {
  readonly task: VisionTask<unknown>;
  readonly models: readonly TaskModel<unknown>[];
  readonly validation: TaskBatches | null;
  readonly test: TaskBatches;
  readonly cohort: Cohort;
  /** The ranks that the models are spread over; undefined where all are here. */
  readonly ranks: Ranks | undefined;
}

/** Thrown between two batches of an evaluation that is not to be finished. */
class MeasuringStopped extends Error {}

/** Between two batches: lets the event loop run, and ends the evaluation where that is asked for. */
type Pause = () => Promise<void>;

/** The evaluation of a session. */
export function taskEvaluation(parts: TaskEvaluationParts): TaskEvaluation {
  const { task, validation, test, cohort, ranks } = parts;
  return {
    scoreName: task.scoreName,
    measure: async (isLast, _, isStopping): Promise<Measured | null> => {
      const pause = async (): Promise<void> => {
        await setImmediate();
        // Ranks ask one another, each before the same batch.
        if (isStopping()) throw new MeasuringStopped();
      };
      ranks?.bringNetworks(cohort);
      const splits = [validation, validation === null || isLast ? test : null];
      try {
        const isHere = ranks?.isFirst ?? true;
        const [first, second] = isHere
          ? await measureAll(parts, splits, isLast, pause)
          : await waitFor(splits, pause);
        const scores = { validation: first ?? null, test: second ?? null };
        const measured = { scores, representations: null, record: { predictions: [], embeddings: null } };
        if (ranks === undefined) return measured;
        const text = ranks.group.broadcastText(JSON.stringify(measured), 0);
        return isHere ? measured : (JSON.parse(text) as Measured);
      } catch (error) {
        if (error instanceof MeasuringStopped) return null;
        throw error;
      }
    },
  };
}

type Scores = Measured['scores']['test'];

async function measureAll(
  { task, models, test }: TaskEvaluationParts,
  splits: readonly (TaskBatches | null)[],
  isLast: boolean,
  pause: Pause,
): Promise<Scores[]> {
  const measured: Scores[] = [];
  for (const batches of splits) {
    if (batches === null) {
      measured.push(null);
      continue;
    }
    const scorer = await evaluateTask(task, models, batches, pause);
    const measures = scorer.measures();
    const scores = measures.map((each) => ({
      accuracy: each[task.scoreName] ?? 0,
      topFiveAccuracy: 0,
      negativeLogLikelihood: 0,
      expectedCalibrationError: 0,
    }));
    const resampled =
      isLast && batches === test
        ? scorer.resampled(imageDraws(batches.imageCount)).map(roundScores)
        : undefined;
    measured.push({
      networks: scores.slice(0, models.length),
      ensemble: at(scores, models.length, 'the scores'),
      images: batches.imageCount,
      measures,
      ...(resampled === undefined ? {} : { resampled }),
    });
  }
  return measured;
}

/** Takes part in the first rank's pauses while it measures. */
async function waitFor(splits: readonly (TaskBatches | null)[], pause: Pause): Promise<Scores[]> {
  for (const batches of splits) {
    for (let number = 0; number < (batches?.batchCount ?? 0); number += 1) await pause();
  }
  return [];
}
