/** What a checkpoint records besides its tensors: `checkpoint.json`, its versions and its check. */
import { CohortError, errorText } from '@cohort-ml/errors';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RESIZE_FILTERS } from '@cohort-ml/runtime';
import * as z from 'zod';
import { mapMeasures } from '../support/score.ts';
import { provenanceSchema } from './provenance.ts';

/** A checkpoint is missing a part, is damaged, or belongs to something else. */
export class CheckpointError extends CohortError {
  override readonly name = 'CheckpointError';
}

/** Name of the file that ties the others together. */
export const infoFile = 'checkpoint.json';

const count = z.int().min(1);
const position = z.int().min(0);
const finite = z.number();

/** Measures in the order of `Score`, so that the summary of a run that was stopped after its last step is the same text. */
const scoreSchema = z.object({
  ...mapMeasures(() => finite),
  // Neither was measured when the first checkpoints of this kind were written.
  topFiveAccuracy: finite.default(NaN),
  expectedCalibrationError: finite.default(NaN),
});
const correctnessSchema = z.object({
  images: z.int().min(0),
  labels: z.string(),
  right: z.array(z.string()).readonly(),
});
const cohortScoreSchema = z
  .object({
    networks: z.array(scoreSchema).readonly(),
    ensemble: scoreSchema,
    images: z.int().min(0),
    correctness: correctnessSchema.optional(),
    measures: z.array(z.record(z.string(), finite).readonly()).readonly().optional(),
    resampled: z.array(z.array(finite.nullable()).readonly()).readonly().optional(),
  })
  .nullable();

/** Where the training was and all its state besides tensors. */
const trainingSchema = z.object({
  /** Batches of the current epoch that are done. */
  batch: position,
  /** Sums and counts of every named value over the current epoch. */
  means: z.record(z.string(), z.object({ sum: finite, count: finite })).readonly(),
  images: position,
  trainingMs: finite,
  /** Since the start of the run, without the time that it lay still. */
  elapsedMs: finite,
  diagnosis: z.string().nullable(),
  scores: z.object({ validation: cohortScoreSchema, test: cohortScoreSchema }),
  guards: z.object({
    skippedInARow: position,
    skipped: position,
    // Checkpoints of earlier versions have neither.
    methodSkippedInARow: position.default(0),
    methodSkipped: position.default(0),
    startLoss: finite.nullable(),
    smoothedLoss: finite.nullable(),
    bestLoss: finite.nullable(),
    stepsAbove: position,
  }),
  /** What early stopping has seen; null without it, and before its first evaluation. */
  earlyStopping: z
    .object({
      best: finite,
      /** Epochs and steps done at the best evaluation, whose checkpoint is kept. */
      bestEpoch: position,
      bestStep: position,
      /** The last score that counted as an improvement, and evaluations since. */
      reference: finite,
      waited: position,
    })
    .nullable()
    .default(null),
  /** Whether early stopping ended the training, which left the networks of its best epoch. */
  isStoppedEarly: z.boolean().default(false),
  /** What the method's `state` gave; null for a method without. */
  method: z.json(),
  /** Length of metrics.jsonl. */
  metricsBytes: position,
  /** Step of every optimizer, by the name of its file. */
  optimizerSteps: z.record(z.string(), position),
});

/** Everything of a training except its tensors. */
export type TrainingState = z.output<typeof trainingSchema>;

const sizes = {
  /** Epochs done. */
  epoch: position,
  /** Steps done, over all epochs. */
  step: position,
  classes: z.array(z.string()).min(1).readonly(),
  channels: count,
  height: count,
  width: count,
  /** What images were normalised with in training; prediction must do the same. */
  normalisation: z.object({ mean: z.array(finite).readonly(), std: z.array(finite).readonly() }),
  /** How images of other sizes were brought to this one. Absent in checkpoints from before photos could be trained on. */
  fit: z.enum(['fill', 'cover']).optional(),
  /** The resampler that did it. Absent in checkpoints from before Cohort had its own, whose images libvips resized. */
  resize: z.object({ filter: z.enum(RESIZE_FILTERS), version: z.literal(1) }).optional(),
};

/** SHA-256 of every other file, in hexadecimal, by its name: a weight with a flipped bit looks like any other. */
const sha256 = z.record(z.string(), z.string());

const infoSchema = z.discriminatedUnion('version', [
  // From before runs could be resumed: good for evaluation only.
  z.object({ version: z.literal(1), ...sizes, sha256 }),
  z.object({
    version: z.literal(2),
    ...sizes,
    /** Mean accuracy of the networks on validation images with these very weights; null where it was not measured. */
    validationAccuracy: finite.nullable(),
    training: trainingSchema,
    provenance: provenanceSchema,
    sha256,
  }),
]);

/** What `checkpoint.json` holds. */
export type StoredCheckpointInfo = z.output<typeof infoSchema>;

/** One from which a run can be resumed. */
export type ResumableInfo = Extract<StoredCheckpointInfo, { version: 2 }>;

/** What a checkpoint is written with; checksums are added when its files are written. */
export type CheckpointInfo = Omit<ResumableInfo, 'sha256'>;

/** The classes and images that a checkpoint's networks are for. */
export type ImageInfo = Pick<
  CheckpointInfo,
  'classes' | 'channels' | 'height' | 'width' | 'normalisation' | 'fit' | 'resize'
>;

/** A checkpoint that is whole but of a version that this Cohort does not know: never to be taken for damage. */
export class CheckpointVersionError extends CheckpointError {}

/** Reads what a checkpoint says of itself. @throws {CheckpointError} when it is missing, damaged or of another version. */
export function readCheckpointInfo(folder: string): StoredCheckpointInfo {
  const path = join(folder, infoFile);
  let value: unknown;
  try {
    const text = readFileSync(path, 'utf8');
    checkSum(folder, text);
    value = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`The checkpoint in ${folder} cannot be read: ${errorText(error)}`, {
      remedy: 'Restore the file from a copy, or train again.',
      cause: error,
    });
  }
  const parsed = infoSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { version } = z
    .object({ version: z.number().catch(0) })
    .catch({ version: 0 })
    .parse(value);
  if (version > 2) {
    throw new CheckpointVersionError(
      `The checkpoint in ${folder} is of version ${version}, and this Cohort knows 1 and 2`,
      { remedy: 'Use the version of Cohort that wrote it, or a later one.' },
    );
  }
  const keys = [...new Set(parsed.error.issues.map(({ path: [key] }) => String(key ?? 'all of it')))];
  throw new CheckpointError(
    `${path} is not a checkpoint of version 1 or 2: wrong or missing: ${keys.join(', ')}`,
    {
      remedy: 'Use the version of Cohort that wrote it, restore the file from a copy, or train again.',
    },
  );
}

/** Name of the file with the checksum of `checkpoint.json`, in the form that `sha256sum -c` reads. */
export const infoSumFile = `${infoFile}.sha256`;

/** The content of that file. */
export function sumOfInfo(text: string): string {
  return `${createHash('sha256').update(text).digest('hex')}  ${infoFile}\n`;
}

/** A number with a flipped bit is a number: only the checksum tells. Version 1 had none. */
function checkSum(folder: string, text: string): void {
  const path = join(folder, infoSumFile);
  if (!existsSync(path)) {
    if (/^\s*\{\s*"version":\s*1\b/.test(text)) return;
    throw new Error(`${infoSumFile} is missing`);
  }
  if (readFileSync(path, 'utf8') !== sumOfInfo(text)) {
    throw new Error(`the SHA-256 of ${infoFile} differs from the one in ${infoSumFile}`);
  }
}
