/** The result of one training, as the report needs it. */
import type { Score } from '../../support/score.ts';
import { unpackCorrectness, type ImageCorrectness } from '../../evaluate/correctnessFile.ts';
import type { Cell } from '../plan/plan.ts';
import type { CellRecord } from './record.ts';
import { meanOf } from '../../evaluate/statistics.ts';

/** One network of a training. */
export interface NetworkResult {
  readonly name: string;
  readonly test: Score;
  /** Null without validation images. */
  readonly validation: Score | null;
  readonly parameters: number;
  readonly multiplyAdds: number;
}

/** One training. */
export interface CellResult {
  readonly label: string;
  readonly seed: number;
  readonly fraction: number;
  readonly networks: readonly NetworkResult[];
  readonly ensemble: Score;
  /** The ensemble on validation images, where there are any. */
  readonly ensembleValidation: Score | null;
  /** The network that the method is about, where it is one. */
  readonly leader: string | null;
  /** Of training steps, without measuring. */
  readonly secondsPerEpoch: number;
  readonly peakMemoryBytes: number;
  /** Parameters that are there in training only. */
  readonly trainingParameters: number;
  /** Accuracy after each epoch that was measured, mean of the networks; on validation images where there are any. */
  readonly curve: readonly { readonly epoch: number; readonly accuracy: number }[];
  /** Null for a run without the record. */
  readonly correctness: ImageCorrectness | null;
  /** Of a task other than classification, whose main score the accuracies are. */
  readonly task: NonNullable<CellRecord['task']> | null;
  /** Machine and versions, as the run recorded them. */
  readonly environment: Readonly<Record<string, unknown>>;
  /** Whether the test images are the same for every seed. */
  readonly hasWholeTestSplit: boolean;
}

/** Puts a cell and what was recorded of its training together. */
export function resultOf({ label, seed, fraction, recipe }: Cell, record: CellRecord): CellResult {
  const { leader, peakMemoryBytes, trainingParameters, correctness, environment } = record;
  const imagesPerEpoch = (record.steps * recipe.train.batchSize) / record.epochs;
  return {
    label,
    seed,
    fraction,
    leader,
    peakMemoryBytes,
    trainingParameters,
    environment,
    networks: record.networks,
    ensemble: record.ensemble.test,
    ensembleValidation: record.ensemble.validation,
    secondsPerEpoch: imagesPerEpoch / record.imagesPerSecond,
    curve: curveOf(record),
    task: record.task ?? null,
    correctness: correctness === null ? null : unpackCorrectness(correctness),
    hasWholeTestSplit: recipe.data.testImages === null,
  };
}

/** Test accuracies stand in only where there are no validation images. */
function curveOf({ history, networks }: CellRecord): CellResult['curve'] {
  const { epochs, validation, test } = history;
  const columns = Object.keys(validation).length > 0 ? validation : test;
  return epochs.flatMap((epoch, index) => {
    const found = networks.flatMap(({ name }) => columns[name]?.[index] ?? []);
    return found.length === networks.length ? [{ epoch, accuracy: meanOf(found) }] : [];
  });
}

/** Index of the network that was best on validation images; null without such images. */
export function bestNetwork({ networks }: CellResult): number | null {
  const accuracies = networks.map(({ validation }) => validation?.accuracy ?? NaN);
  if (accuracies.some(Number.isNaN)) return null;
  return accuracies.indexOf(Math.max(...accuracies));
}
