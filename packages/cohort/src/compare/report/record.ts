/** One training as a comparison keeps it: small, and enough for every table and picture; the same from a run folder and from an archive. */
import type { RunReader } from '@cohort-ml/runs';
import * as z from 'zod';
import { correctnessSchema, readCorrectness } from '../../evaluate/correctnessFile.ts';
import { readBestScores } from './bestScores.ts';
import type { Selection } from '../execute/folder.ts';
import { scoreSchema, storedNumber } from '../../support/score.ts';

/** Accuracies after each epoch that was measured; null where it was not on these images. */
const historySchema = z.object({
  epochs: z.array(z.int()),
  /** By the network's name, and `ensemble`. */
  validation: z.record(z.string(), z.array(storedNumber.nullable())),
  test: z.record(z.string(), z.array(storedNumber.nullable())),
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
  /** Machine and versions, as the run recorded them. */
  environment: z.record(z.string(), z.unknown()),
});

/** One training. */
export type CellRecord = z.output<typeof recordSchema>;

const validationSchema = scoreSchema.nullish().transform((score) => score ?? null);

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
        test: scoreSchema,
        validation: validationSchema,
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
export function readRecord(run: RunReader, select: Selection): CellRecord {
  const { leader = null, networks, ensemble, ...costs } = summarySchema.parse(run.summary);
  const names = networks.map(({ name }) => name);
  const { id, startedAt, endedAt } = run.info;
  const common = {
    run: id,
    startedAt,
    endedAt,
    ...costs,
    leader,
    history: historyOf(run, names),
    environment: run.environment,
  };
  if (select === 'last') {
    return { ...common, networks, ensemble, correctness: readCorrectness(run.path) };
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

function historyOf(run: RunReader, names: readonly string[]): CellRecord['history'] {
  const measured = [...run.metrics({ kind: 'epoch' })].filter(({ values }) =>
    [...names, 'ensemble'].some(
      (name) => `accuracy/${name}` in values || `validationAccuracy/${name}` in values,
    ),
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
    validation: columns('validationAccuracy'),
    test: columns('accuracy'),
  };
}

/** Six digits are finer than one image of a million, and a third of the file. */
function rounded(accuracy: number | undefined): number | null {
  return accuracy === undefined ? null : Number(accuracy.toFixed(6));
}
