/** What is reported and recorded about an epoch: means of every value, accuracies, speed. */
import type { CohortScore } from '../../evaluate/accuracy.ts';
import type { EmbeddingSpread, RepresentationMeasures } from '../../evaluate/representation.ts';
import { scoreMetric } from '../../support/score.ts';
import type { TrainingClock } from '../../progress/clock.ts';
import type { Cohort } from '../../cohort/cohort.ts';
import type { LoopSetup } from './loopSetup.ts';
import type { SplitScores } from './measure.ts';
import type { EpochEndEvent, NetworkAccuracy } from '../../progress/reporter.ts';
import type { TermValues } from './step.ts';

/** The result of an epoch. */
export interface EpochResult {
  /** From 1. */
  readonly epoch: number;
  readonly seconds: number;
  readonly terms: TermValues;
  /** Null where nothing was measured. */
  readonly scores: SplitScores | null;
  readonly representations: RepresentationMeasures | null;
  /** Accuracies of the online probe; empty where it was not due. */
  readonly probed: Readonly<Record<string, number>>;
}

/** Passes the result of an epoch to the reporter and the recorder. */
export function reportEpoch(setup: LoopSetup, result: EpochResult, clock: TrainingClock): void {
  const { recipe, cohort, optimizer, reporter, recorder, evaluation } = setup;
  const { scoreName = 'accuracy' } = evaluation ?? {};
  const { epoch, seconds, terms, scores, representations, probed } = result;
  const test = accuraciesOf(cohort, scores?.test ?? null);
  const validation = accuraciesOf(cohort, scores?.validation ?? null);
  const named = (prefix: string, accuracies: readonly NetworkAccuracy[]): [string, number][] =>
    accuracies.map(({ name, accuracy }) => [`${prefix}/${name}`, accuracy]);
  const speed = { learningRate: optimizer.learningRate, imagesPerSecond: clock.epochImagesPerSecond };
  const measured = Object.fromEntries([
    ...named(scoreMetric('validation', scoreName), validation),
    ...named(scoreMetric('test', scoreName), test),
  ]);
  const gathered = { ...cohort.method.epochMetrics?.(), ...representations?.values, ...probed };
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
    ...(setup.selfSupervised == null ? {} : unlabelledProgress(cohort.names, representations)),
    ...(sharedInformation === null ? {} : { sharedInformation }),
    ...(evaluation === undefined ? {} : { scoreName }),
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

/** How embeddings spread, as means over the networks, and that accuracy is that of nearest neighbours. */
function unlabelledProgress(
  names: readonly string[],
  representations: RepresentationMeasures | null,
): Pick<EpochEndEvent, 'scoreName' | 'spread'> {
  const spread = representations === null ? null : meanSpread(names, representations);
  return { scoreName: 'accuracy by neighbours', ...(spread === null ? {} : { spread }) };
}

/** Means over the networks of how their features spread. */
export function meanSpread(names: readonly string[], { values }: RepresentationMeasures): EmbeddingSpread {
  const mean = (measure: keyof EmbeddingSpread): number =>
    names.reduce((sum, name) => sum + (values[`embedding/${name}/${measure}`] ?? NaN), 0) / names.length;
  return {
    alignment: mean('alignment'),
    uniformity: mean('uniformity'),
    effectiveRank: mean('effectiveRank'),
  };
}
