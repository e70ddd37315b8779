/** What one training came to, read from its run folder. */
import type { RunReader } from '@cohort/runs';
import * as z from 'zod';
import type { Score } from '../evaluate/tally.ts';
import { readCorrectness, type ImageCorrectness } from '../train/correctnessFile.ts';
import { readBestScores } from './bestScores.ts';
import type { Selection } from './folder.ts';
import type { Cell } from './plan.ts';
import { meanOf } from './statistics.ts';

/** One network of a training. */
export interface NetworkResult {
  readonly name: string;
  readonly test: Score;
  /** Null without validation images. */
  readonly validationAccuracy: number | null;
  readonly parameters: number;
  readonly multiplyAdds: number;
}

/** One training. */
export interface CellResult {
  readonly label: string;
  readonly seed: number;
  readonly fraction: number;
  readonly runFolder: string;
  readonly networks: readonly NetworkResult[];
  readonly ensemble: Score;
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
  /** Whether the test images are the same for every seed. */
  readonly hasWholeTestSplit: boolean;
}

// Numbers that are not finite are text in JSON.
const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

const scoreSchema = z.object({
  accuracy: number,
  topFiveAccuracy: number,
  negativeLogLikelihood: number,
  expectedCalibrationError: number,
});

const validationSchema = z.object({ accuracy: number }).nullish();

const summarySchema = z.object({
  epochs: z.number(),
  steps: z.number(),
  imagesPerSecond: number,
  trainingParameters: z.number(),
  peakMemoryBytes: number,
  networks: z
    .array(
      z.object({
        name: z.string(),
        test: scoreSchema,
        validation: validationSchema,
        parameters: z.number(),
        multiplyAdds: z.number(),
      }),
    )
    .min(1),
  ensemble: z.object({ test: scoreSchema, validation: validationSchema }),
  leader: z.string().optional(),
});

/**
 * Reads a finished run.
 * @param select which epoch's weights count
 * @throws ZodError or RunError for a run that another version wrote or that is damaged
 */
export function readCell(cell: Cell, run: RunReader, select: Selection): CellResult {
  const summary = summarySchema.parse(run.summary);
  const best = select === 'best-validation' ? readBestScores(run.path) : null;
  const { label, seed, fraction } = cell;
  const imagesPerEpoch = (summary.steps * cell.recipe.train.batchSize) / summary.epochs;
  const networks = summary.networks.map(({ validation, ...network }): NetworkResult => {
    const test = best === null ? network.test : best.networks.get(network.name);
    if (test === undefined) throw new RangeError(`${run.path}: no best scores of ${network.name}`);
    return { ...network, test, validationAccuracy: validation?.accuracy ?? null };
  });
  return {
    ...{ label, seed, fraction, networks },
    runFolder: run.path,
    ensemble: best === null ? summary.ensemble.test : best.ensemble,
    leader: summary.leader ?? null,
    secondsPerEpoch: imagesPerEpoch / summary.imagesPerSecond,
    peakMemoryBytes: summary.peakMemoryBytes,
    trainingParameters: summary.trainingParameters,
    curve: curveOf(
      run,
      summary.networks.map(({ name }) => name),
    ),
    correctness: best === null ? readCorrectness(run.path) : best.correctness,
    hasWholeTestSplit: cell.recipe.data.testImages === null,
  };
}

/** Test accuracies stand in only where there are no validation images. */
function curveOf(run: RunReader, names: readonly string[]): CellResult['curve'] {
  const points: { epoch: number; accuracy: number; isValidation: boolean }[] = [];
  for (const { epoch, values } of run.metrics({ kind: 'epoch' })) {
    for (const prefix of ['validationAccuracy', 'accuracy']) {
      const found = names.flatMap((name) => values[`${prefix}/${name}`] ?? []);
      if (found.length !== names.length) continue;
      points.push({ epoch, accuracy: meanOf(found), isValidation: prefix === 'validationAccuracy' });
      break;
    }
  }
  const hasValidation = points.some(({ isValidation }) => isValidation);
  return points
    .filter(({ isValidation }) => isValidation === hasValidation)
    .map(({ epoch, accuracy }) => ({ epoch, accuracy }));
}

/** Index of the network that was best on validation images; null without such images. */
export function bestNetwork({ networks }: CellResult): number | null {
  const accuracies = networks.map(({ validationAccuracy }) => validationAccuracy ?? NaN);
  if (accuracies.some(Number.isNaN)) return null;
  return accuracies.indexOf(Math.max(...accuracies));
}
