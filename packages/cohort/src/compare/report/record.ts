/** One training as a comparison keeps it: small, and enough for every table and picture; the same from a run folder and from an archive. */
import type { RunReader } from '@cohort-ml/runs';
import * as z from 'zod';
import { correctnessSchema, readCorrectness } from '../../evaluate/correctnessFile.ts';
import { readBestScores } from './bestScores.ts';
import type { Selection } from '../execute/folder.ts';
import { readResampledScores, resampledScoresSchema } from '../../evaluate/resampledScores.ts';
import { mapMeasures, scoreMetric, scoreSchema, storedNumber, type Score } from '../../support/score.ts';

/** Accuracies after each epoch that was measured; null where it was not on these images. */
const historySchema = z.object({
  epochs: z.array(z.int()),
  /** By the network's name, and `ensemble`. */
  validation: z.record(z.string(), z.array(storedNumber.nullable())),
  test: z.record(z.string(), z.array(storedNumber.nullable())),
});

/** What a task measures. */
const taskSchema = z.object({
  /** The main score: `AP`, `meanIoU`. */
  scoreName: z.string(),
  /** On test images, by the network's name, and `ensemble`, and by the measure's. */
  measures: z.record(z.string(), z.record(z.string(), storedNumber)),
  /** Null for a run without the record. */
  resampled: resampledScoresSchema.nullable(),
});

/** Schema of a record; numbers that are not finite are text in JSON. */
export const recordSchema = z.object({
  /** Id of the run. */
  run: z.string(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  epochs: z.int(),
  steps: z.int(),
  seconds: storedNumber,
  /** Of training steps, without measuring. */
  imagesPerSecond: storedNumber,
  peakMemoryBytes: storedNumber,
  trainingParameters: z.int(),
  leader: z.string().nullable(),
  /** Scores are of the epoch that counts. */
  networks: z
    .array(
      z.object({
        name: z.string(),
        parameters: z.int(),
        multiplyAdds: z.int(),
        test: scoreSchema,
        validation: scoreSchema.nullable(),
      }),
    )
    .min(1),
  ensemble: z.object({ test: scoreSchema, validation: scoreSchema.nullable() }),
  history: historySchema,
  /** Which test images were right; null for a run without the record. */
  correctness: correctnessSchema.nullable(),
  /** Of a task other than classification; the accuracies above are then its main score, and the other scores say nothing. */
  task: taskSchema.optional(),
  /** Machine and versions, as the run recorded them. */
  environment: z.record(z.string(), z.unknown()),
});

/** One training. */
export type CellRecord = z.output<typeof recordSchema>;

const measuresSchema = z.record(z.string(), storedNumber);

/** The scores of a classifier, or the measures of a task. */
const measuredSchema = z.union([scoreSchema, measuresSchema]);
const validationSchema = measuredSchema.nullish().transform((measured) => measured ?? null);

const summarySchema = z.object({
  epochs: z.int(),
  steps: z.int(),
  seconds: storedNumber,
  imagesPerSecond: storedNumber,
  trainingParameters: z.int(),
  peakMemoryBytes: storedNumber,
  networks: z
    .array(
      z.object({
        name: z.string(),
        parameters: z.int(),
        multiplyAdds: z.int(),
        test: measuredSchema,
        validation: validationSchema,
      }),
    )
    .min(1),
  ensemble: z.object({ test: measuredSchema, validation: validationSchema }),
  leader: z.string().optional(),
  /** Of a task other than classification. */
  scoreName: z.string().optional(),
});

/**
 * Reads a finished run.
 * @param select which epoch's weights count
 * @throws ZodError or RunError for a run that another version wrote or that is damaged
 */
export function readRecord(run: RunReader, select: Selection): CellRecord {
  const { leader = null, networks, ensemble, scoreName, ...costs } = summarySchema.parse(run.summary);
  const names = networks.map(({ name }) => name);
  const { id, startedAt, endedAt } = run.info;
  const common = {
    run: id,
    startedAt,
    endedAt,
    ...costs,
    leader,
    history: historyOf(run, names, scoreName),
    environment: run.environment,
  };
  const scored = <Own extends { test: Measured; validation: Measured | null }>(
    own: Own,
  ): Own & { test: Score; validation: Score | null } => ({
    ...own,
    test: scoreOf(own.test, scoreName),
    validation: own.validation === null ? null : scoreOf(own.validation, scoreName),
  });
  if (select === 'last') {
    return {
      ...common,
      networks: networks.map(scored),
      ensemble: scored(ensemble),
      correctness: readCorrectness(run.path),
      ...(scoreName === undefined
        ? {}
        : { task: { ...taskOf(networks, ensemble, scoreName), resampled: readResampledScores(run.path) } }),
    };
  }
  const best = readBestScores(run.path);
  return {
    ...common,
    networks: networks.map((network) => {
      const scores = best.networks.find(({ name }) => name === network.name);
      if (scores === undefined) throw new RangeError(`${run.path}: no best scores of ${network.name}`);
      return { ...network, ...scores };
    }),
    ensemble: best.ensemble,
    correctness: best.correctness,
  };
}

type Measured = z.output<typeof measuredSchema>;

/** A task's main score takes the place of the accuracy. */
function scoreOf(measured: Measured, scoreName: string | undefined): Score {
  if (scoreName === undefined) return scoreSchema.parse(measured);
  const main = measuresSchema.parse(measured)[scoreName];
  return mapMeasures((measure) => (measure === 'accuracy' ? (main ?? NaN) : NaN));
}

/** The measures over all classes. */
function taskOf(
  networks: readonly { readonly name: string; readonly test: Measured }[],
  ensemble: { readonly test: Measured },
  scoreName: string,
): Omit<NonNullable<CellRecord['task']>, 'resampled'> {
  const all = [...networks, { name: 'ensemble', ...ensemble }].map(({ name, test }) => {
    const overall = Object.entries(measuresSchema.parse(test)).filter(([measure]) => !measure.includes('/'));
    return [name, Object.fromEntries(overall)] as const;
  });
  return { scoreName, measures: Object.fromEntries(all) };
}

function historyOf(
  run: RunReader,
  names: readonly string[],
  scoreName: string | undefined,
): CellRecord['history'] {
  const [validation, test] = [scoreMetric('validation', scoreName), scoreMetric('test', scoreName)];
  const measured = [...run.metrics({ kind: 'epoch' })].filter(({ values }) =>
    [...names, 'ensemble'].some((name) => `${test}/${name}` in values || `${validation}/${name}` in values),
  );
  const columns = (prefix: string): Record<string, (number | null)[]> =>
    Object.fromEntries(
      [...names, 'ensemble']
        .map((name): [string, (number | null)[]] => [
          name,
          measured.map(({ values }) => rounded(values[`${prefix}/${name}`])),
        ])
        .filter(([, column]) => column.some((value) => value !== null)),
    );
  return {
    epochs: measured.map(({ epoch }) => epoch),
    validation: columns(validation),
    test: columns(test),
  };
}

/** Six digits are finer than one image of a million, and a third of the file. */
function rounded(accuracy: number | undefined): number | null {
  return accuracy === undefined ? null : Number(accuracy.toFixed(6));
}
