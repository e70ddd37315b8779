/** Embeddings of some held-out images in the course of a training: `heldOut/embeddings-STEP.safetensors`. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describeFileError, fileErrorCode } from '../errors.ts';
import { corrupt, FILES } from '../schema.ts';
import { readArrayFile, writeArrayFile, type StoredArray } from './arrayFile.ts';
import { fromHalf, toHalf } from './half.ts';
import { makeHeldOutFolder, type HeldOutSplit } from './predictions.ts';

const FORMAT = 'cohort.embeddings';
const VERSION = 1;

/** Pooled embeddings of the same R images in every network, as it was after so many steps. */
export interface HeldOutEmbeddings {
  readonly split: HeldOutSplit;
  /** Epochs and steps that the networks had done. */
  readonly epoch: number;
  readonly step: number;
  /** Names of the classes, in the order of the labels. */
  readonly classes: readonly string[];
  readonly networks: readonly string[];
  /** Positions of the images in the split, ascending, `[R]`. */
  readonly rows: Int32Array;
  /** `[R]`. */
  readonly labels: Int32Array;
  /** For each network `[R, D]`, its width D; to half precision. */
  readonly embeddings: readonly { readonly width: number; readonly values: Float32Array }[];
}

/** Writes them into a run folder. @throws RunError that names the path and the remedy */
export function writeEmbeddings(runFolder: string, given: HeldOutEmbeddings): void {
  const { split, epoch, step, classes, networks, rows, labels } = given;
  const named = given.embeddings.map(({ width, values }, index): [string, StoredArray] => [
    `embedding/${networks[index] ?? index}`,
    { dtype: 'F16', shape: [rows.length, width], data: toHalf(values) },
  ]);
  makeHeldOutFolder(runFolder);
  writeArrayFile(
    embeddingsPath(runFolder, step),
    { format: FORMAT, version: VERSION, info: { split, epoch, step, classes, networks } },
    {
      rows: { dtype: 'I32', shape: [rows.length], data: rows },
      labels: { dtype: 'I32', shape: [labels.length], data: labels },
      ...Object.fromEntries(named),
    },
  );
}

/** Steps after which embeddings were recorded, ascending; none for a run without them. @throws RunError */
export function embeddingSteps(runFolder: string): number[] {
  const folder = join(runFolder, FILES.heldOut);
  try {
    return readdirSync(folder)
      .flatMap((name) => {
        const [, step] = /^embeddings-(\d+)\.safetensors$/.exec(name) ?? [];
        return step === undefined ? [] : [Number(step)];
      })
      .sort((left, right) => left - right);
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return [];
    throw describeFileError(error, 'list the embeddings of the run', folder);
  }
}

/**
 * Reads those after a step that `embeddingSteps` lists.
 * @returns null where there are none
 * @throws RunError of kind `corrupt` or `newer-version`
 */
export function readEmbeddings(runFolder: string, step: number): HeldOutEmbeddings | null {
  const path = embeddingsPath(runFolder, step);
  const file = readArrayFile(path, FORMAT, VERSION);
  if (file === null) return null;
  const [classes, networks] = [file.texts('classes'), file.texts('networks')];
  const { split } = file.info;
  if (split !== 'test' && split !== 'validation') throw corrupt(path, 'split: expected test or validation');
  const { data: rows } = file.array('rows', 'I32', [-1]);
  const { data: labels } = file.array('labels', 'I32', [rows.length]);
  if (!labels.every((label) => label >= 0 && label < classes.length)) {
    throw corrupt(path, `labels: expected those of ${classes.length} classes`);
  }
  return {
    split,
    classes,
    networks,
    rows,
    labels,
    epoch: file.count('epoch'),
    step: file.count('step'),
    embeddings: networks.map((name) => {
      const { shape, data } = file.array(`embedding/${name}`, 'F16', [rows.length, -1]);
      return { width: shape[1] ?? 0, values: fromHalf(data) };
    }),
  };
}

/** Path of the file of a step. */
export function embeddingsPath(runFolder: string, step: number): string {
  return join(runFolder, FILES.heldOut, `embeddings-${String(step).padStart(8, '0')}.safetensors`);
}
