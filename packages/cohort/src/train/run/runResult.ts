/** The result of a run, for its summary and for the caller. */
import type { CohortScore } from '../../evaluate/accuracy.ts';
import type { Score } from '../../support/score.ts';
import type { Cohort } from '../../cohort/cohort.ts';
import type { CohortCost } from '../../cohort/cost.ts';
import type { EmbeddingSpread } from '../../evaluate/representation.ts';
import { meanSpread } from '../loop/epochReport.ts';
import type { SelfSupervisedMeasures } from '../loop/selfSupervised.ts';
import type { LoopOutcome } from '../loop/loop.ts';
import type { SplitScores } from '../loop/measure.ts';

/** The result of a run. */
export interface TrainResult {
  /** `interrupted` by a signal, `stopped` when the time that it was given was over; both can be resumed. */
  readonly status: 'finished' | 'interrupted' | 'stopped';
  readonly runFolder: string;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Every network's accuracies. */
  readonly networks: readonly ({ readonly name: string } & Accuracies)[];
  readonly ensemble: Accuracies;
  /** Of methods that learn without labels: whose accuracies these are, and how features spread; absent for all others. */
  readonly selfSupervised?: SelfSupervisedResult;
  /** What the accuracies are, for a task other than classification: `meanIoU`. */
  readonly scoreName?: string;
}

/** What there is to say of networks whose classifiers were not trained. */
export interface SelfSupervisedResult {
  /** Whether there were labels, so that the accuracies are those of nearest neighbours; without, they are null. */
  readonly hasNeighbours: boolean;
  /** Means over the networks at the last evaluation; null where none was made since the training was taken up. */
  readonly spread: EmbeddingSpread | null;
}

/** Accuracies at the last evaluation, 0 to 1. */
export interface Accuracies {
  /** Null when interrupted before test images were looked at. */
  readonly testAccuracy: number | null;
  /** Absent without a validation split; null when interrupted before any evaluation. */
  readonly validationAccuracy?: number | null;
}

/** What `summary.json` says. */
export function summary(
  cohort: Cohort,
  outcome: LoopOutcome,
  seconds: number,
  hasValidation: boolean,
  cost: CohortCost,
): Record<string, unknown> {
  const { epochs, steps, skippedSteps, skippedMethodSteps, imagesPerSecond, scores, bestEpoch } = outcome;
  type Shown = Score | Readonly<Record<string, number>> | null;
  const measured = (index: number): Record<string, Shown> => {
    const value = (score: CohortScore | null): Shown =>
      score === null ? null : (score.measures?.[index] ?? score.networks[index] ?? score.ensemble);
    const test = value(scores.test);
    return hasValidation ? { validation: value(scores.validation), test } : { test };
  };
  return {
    epochs,
    ...(bestEpoch === undefined ? {} : { bestEpoch }),
    steps,
    skippedSteps,
    skippedMethodSteps,
    seconds,
    imagesPerSecond,
    trainingParameters: cost.trainingParameters,
    peakMemoryBytes: cost.peakMemoryBytes,
    networks: cohort.names.map((name, index) => ({
      name,
      ...cost.networks[index],
      ...measured(index),
    })),
    ensemble: measured(cohort.names.length),
    ...(cohort.method.leader === undefined ? {} : { leader: cohort.names[cohort.method.leader] }),
  };
}

/** What a result says of a cohort that learned without labels; null for all others. */
export function selfSupervisedResult(
  { names }: Cohort,
  { representations }: LoopOutcome,
  measures: SelfSupervisedMeasures | null,
): SelfSupervisedResult | null {
  if (measures === null) return null;
  const spread = representations === null ? null : meanSpread(names, representations);
  return { hasNeighbours: measures.neighbours !== null, spread };
}

/** What the caller gets. */
export function result(
  runFolder: string,
  cohort: Cohort,
  outcome: LoopOutcome,
  seconds: number,
  hasValidation: boolean,
): TrainResult {
  const { status, imagesPerSecond, scores } = outcome;
  return {
    status,
    runFolder,
    seconds,
    imagesPerSecond,
    ...accuraciesOf(cohort.names, scores, hasValidation),
  };
}

/** Accuracies of every network and the ensemble. */
export function accuraciesOf(
  names: readonly string[],
  { validation, test }: SplitScores,
  hasValidation: boolean,
): Pick<TrainResult, 'networks' | 'ensemble'> {
  const accuracies = (of: (score: CohortScore) => Score | undefined): Accuracies => {
    const value = (score: CohortScore | null): number | null =>
      score === null ? null : (of(score)?.accuracy ?? null);
    const testAccuracy = value(test);
    return hasValidation ? { validationAccuracy: value(validation), testAccuracy } : { testAccuracy };
  };
  return {
    networks: names.map((name, index) => ({ name, ...accuracies((score) => score.networks[index]) })),
    ensemble: accuracies((score) => score.ensemble),
  };
}
