/** What every network of a run said about each held-out image: `heldOut/predictions-SPLIT.safetensors`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describeFileError, fileErrorCode } from '../errors.ts';
import { corrupt, FILES, parseJsonRecord } from '../schema.ts';
import { readArrayFile, writeArrayFile } from './arrayFile.ts';

const FORMAT = 'cohort.predictions';
const VERSION = 1;

/** Splits that networks are measured on but not trained on. */
export type HeldOutSplit = 'test' | 'validation';

/** Predictions for N images of K classes; R of the images have all their probabilities. */
export interface HeldOutPredictions {
  readonly split: HeldOutSplit;
  /** Epochs and steps that the networks had done. */
  readonly epoch: number;
  readonly step: number;
  /** K names, in the order of the labels. */
  readonly classes: readonly string[];
  /** Names of the networks and, last, `ensemble`. */
  readonly networks: readonly string[];
  /** The right class of each image, `[N]`. */
  readonly labels: Int32Array;
  /** For each of `networks` the class that it chose, `[N]`; -1 where its answer was not a number. */
  readonly predicted: readonly Int32Array[];
  /** The probability of that class in 255ths, `[N]` for each of `networks`. */
  readonly confidence: readonly Uint8Array[];
  /** Positions of the images that have all their probabilities, ascending, `[R]`: all N unless that would take too much room. */
  readonly rows: Int32Array;
  /** Probabilities in 255ths, `[R, K]` for each of `networks`. */
  readonly probabilities: readonly Uint8Array[];
  /** Path of each image inside the folder of images, `[N]`; null for images that are no files. */
  readonly names: readonly string[] | null;
}

/** Writes them into a run folder. @throws RunError that names the path and the remedy */
export function writePredictions(runFolder: string, given: HeldOutPredictions): void {
  const { split, epoch, step, classes, networks, labels, rows, names } = given;
  const [images, kept] = [labels.length, rows.length];
  makeHeldOutFolder(runFolder);
  const text = names === null ? null : new TextEncoder().encode(JSON.stringify(names));
  writeArrayFile(
    predictionsPath(runFolder, split),
    { format: FORMAT, version: VERSION, info: { split, epoch, step, classes, networks } },
    {
      labels: { dtype: 'I32', shape: [images], data: labels },
      predicted: {
        dtype: 'I32',
        shape: [networks.length, images],
        data: joinedInts(given.predicted),
      },
      rows: { dtype: 'I32', shape: [kept], data: rows },
      confidence: { dtype: 'U8', shape: [networks.length, images], data: joined(given.confidence) },
      probabilities: {
        dtype: 'U8',
        shape: [networks.length, kept, classes.length],
        data: joined(given.probabilities),
      },
      ...(text === null ? {} : { names: { dtype: 'U8', shape: [text.length], data: text } }),
    },
  );
}

/**
 * Reads them.
 * @returns null for a run without them: one that has not come to an end, or of an earlier Cohort
 * @throws RunError of kind `corrupt` or `newer-version`
 */
export function readPredictions(runFolder: string, split: HeldOutSplit = 'test'): HeldOutPredictions | null {
  const path = predictionsPath(runFolder, split);
  const file = readArrayFile(path, FORMAT, VERSION);
  if (file === null) return null;
  const [classes, networks] = [file.texts('classes'), file.texts('networks')];
  const { data: labels } = file.array('labels', 'I32', [-1]);
  const { data: rows } = file.array('rows', 'I32', [-1]);
  const [images, kept] = [labels.length, rows.length];
  const predicted = file.array('predicted', 'I32', [networks.length, images]).data;
  const confidence = file.array('confidence', 'U8', [networks.length, images]).data;
  const probabilities = file.array('probabilities', 'U8', [networks.length, kept, classes.length]).data;
  const inRange = (values: Int32Array, from: number, to: number): boolean =>
    values.every((value) => value >= from && value < to);
  if (!inRange(labels, 0, classes.length) || !inRange(predicted, -1, classes.length)) {
    throw corrupt(path, `expected labels and predictions of ${classes.length} classes, got others`);
  }
  if (!inRange(rows, 0, images)) throw corrupt(path, `rows: expected positions among ${images} images`);
  const part = <Values extends Int32Array | Uint8Array>(
    values: Values,
    index: number,
    size: number,
  ): Values => values.subarray(index * size, (index + 1) * size) as Values;
  return {
    split,
    epoch: file.count('epoch'),
    step: file.count('step'),
    classes,
    networks,
    labels,
    predicted: networks.map((_, index) => part(predicted, index, images)),
    confidence: networks.map((_, index) => part(confidence, index, images)),
    rows,
    probabilities: networks.map((_, index) => part(probabilities, index, kept * classes.length)),
    names: file.names.includes('names') ? namesOf(file.array('names', 'U8', [-1]).data, images, path) : null,
  };
}

/** Makes the folder of these records in a run that is there: one that was deleted is not made again. @throws RunError */
export function makeHeldOutFolder(runFolder: string): void {
  const folder = join(runFolder, FILES.heldOut);
  try {
    mkdirSync(folder);
  } catch (error) {
    if (fileErrorCode(error) === 'EEXIST') return;
    throw describeFileError(error, 'make a folder in the run', folder);
  }
}

/** Path of the file of a split. */
export function predictionsPath(runFolder: string, split: HeldOutSplit): string {
  return join(runFolder, FILES.heldOut, `predictions-${split}.safetensors`);
}

function namesOf(bytes: Uint8Array, images: number, path: string): string[] {
  const { names } = parseJsonRecord(`{"names":${new TextDecoder().decode(bytes)}}`, path);
  const isText = (name: unknown): name is string => typeof name === 'string';
  if (Array.isArray(names) && names.length === images && names.every(isText)) return names;
  throw corrupt(path, `names: expected ${images} strings`);
}

function joinedInts(arrays: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const each of arrays) {
    all.set(each, offset);
    offset += each.length;
  }
  return all;
}

function joined(arrays: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(arrays);
}
