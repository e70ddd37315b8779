/** Everything that a probe's report is made from, and its archive: one JSON file from which the report can be made again. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolders, writeFileAtomic } from '@cohort-ml/runs';
import * as z from 'zod';
import { unpackRight } from '../../evaluate/correctness.ts';
import { ProbeError } from '../errors.ts';
import { measurementSchema } from './measurement.ts';
import { PROBES } from './settings.ts';

const format = 'cohort-probes';

const contentSchema = z.object({
  format: z.literal(format),
  version: z.literal(1),
  command: z.string(),
  data: z.object({
    name: z.string(),
    classes: z.int(),
    trainImages: z.int(),
    validationImages: z.int(),
    testImages: z.int(),
  }),
  settings: z.object({
    by: z.array(z.enum(PROBES)).min(1),
    stage: z.union([z.enum(['last', 'all']), z.int()]),
    /** Side that images were brought to; null for each run's own. */
    size: z.int().nullable(),
    shots: z.array(z.int()),
    seeds: z.int(),
    penalties: z.array(z.number()),
    neighbours: z.array(z.int()),
    temperature: z.number(),
    epochs: z.int(),
    learningRates: z.array(z.number()),
    batchSize: z.int(),
  }),
  /** What differences are to. */
  baseline: z.string(),
  subjects: z.array(
    z.object({
      label: z.string(),
      seed: z.int(),
      /** Name of the run folder; null for random weights. */
      run: z.string().nullable(),
      models: z.array(z.string()),
      /** Image side lengths of the features. */
      size: z.tuple([z.int(), z.int()]),
      trained: z.object({ epoch: z.int(), step: z.int(), epochs: z.int() }).nullable(),
    }),
  ),
  measurements: z.array(measurementSchema).min(1),
});

/** What was measured, and of what. */
export type ProbeContent = Omit<z.output<typeof contentSchema>, 'format' | 'version'>;

/** Writes the archive, one measurement to a line. @throws RunError where it cannot be written */
export function writeProbeArchive(path: string, content: ProbeContent): void {
  const { measurements, ...facts } = content;
  const head = Object.entries({ format, version: 1, ...facts }).map(
    ([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  const lines = measurements.map((each) => JSON.stringify(each));
  makeFolders(dirname(path));
  writeFileAtomic(path, `{\n${head.join(',\n')},\n"measurements": [\n${lines.join(',\n')}\n]\n}\n`);
}

/** @throws {ProbeError} where the file is no archive, or is damaged */
export function readProbeArchive(path: string): ProbeContent {
  try {
    const { command, data, settings, baseline, subjects, measurements } = contentSchema.parse(
      JSON.parse(readFileSync(path, 'utf8')),
    );
    for (const { right, images } of measurements) unpackRight(right, images);
    return { command, data, settings, baseline, subjects, measurements };
  } catch (error) {
    const reason =
      error instanceof z.ZodError
        ? (error.issues[0]?.path.map(String).join('.') ?? '') + ': ' + (error.issues[0]?.message ?? '')
        : error instanceof Error
          ? (error.message.split('\n')[0] ?? '')
          : String(error);
    throw new ProbeError(
      `${path} is not an archive of probes that this version can read (${reason}).`,
      'Give a file that cohort probe --archive wrote.',
      { cause: error },
    );
  }
}
