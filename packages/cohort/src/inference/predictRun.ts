/** What a run's networks see in images from files, all of them or none; `predictImages` continues past broken ones. */
import { setImmediate } from 'node:timers/promises';
import { BatchNormaliser, decodeImage } from '../data/index.ts';
import { mapPool } from '../data/loading/pool.ts';
import type { Reporter } from '../progress/reporter.ts';
import { imagesTogether, predictPixels, type Prediction } from './predictPixels.ts';
import { assertTrainedClassifier } from './trainedClassifier.ts';
import { loadRun } from './loadRun.ts';

export type { LabelProbability } from '../evaluate/rank.ts';
export type { Prediction } from './predictPixels.ts';

/** Settings of a prediction. */
export interface PredictOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** How many classes to name for each image, the likeliest first. */
  readonly top: number;
  /** Name of the checkpoint, `last` or `best`; the newest intact one unless given. */
  readonly checkpoint?: string;
  /** What to compute on: auto, cpu, cuda or cuda:N; the run's own device unless given. */
  readonly device?: string;
}

/** More at once are not faster, and thousands would need more memory and open files than there are. */
const DECODED_TOGETHER = 8;

/**
 * Decodes each image to the size that the run was trained at, normalises it in the same way and ranks the classes. Each image
 * is a batch of its own for the networks: matrix products round by the size of the batch, and what is seen in an image is not
 * to depend on the others by a single bit.
 *
 * @throws {DataError} for the first image that is missing or cannot be decoded, before any network has run.
 */
export async function predictRun(
  runPath: string,
  imagePaths: readonly string[],
  options: PredictOptions,
): Promise<readonly Prediction[]> {
  const run = loadRun(runPath, options.reporter, options.checkpoint, options.device);
  const { channels, height, width, fit = 'fill', normalisation } = run.checkpoint;
  const normaliser = new BatchNormaliser(normalisation);
  try {
    assertTrainedClassifier(run.recipe, runPath);
    // All are decoded first: one broken file is found before any work is shown.
    const shape = { channels, height, width, fit };
    const decoded = await decodeInOrder(imagePaths, shape, options.signal);
    const predictions: Prediction[] = [];
    const images = imagePaths.map((path, index) => ({ path, pixels: decoded[index] ?? new Uint8Array() }));
    const together = imagesTogether(shape);
    for (let start = 0; start < images.length; start += together) {
      await setImmediate();
      options.signal.throwIfAborted();
      predictions.push(...predictPixels(run, normaliser, images.slice(start, start + together), options));
    }
    return predictions;
  } finally {
    run.dispose();
    normaliser.dispose();
  }
}

/** The pixels `[C, H, W]` of every image; of several broken ones the first in the given order is reported. */
async function decodeInOrder(
  paths: readonly string[],
  shape: Parameters<typeof decodeImage>[1],
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const broken = new Map<number, unknown>();
  const decoded = await mapPool(
    paths,
    DECODED_TOGETHER,
    async (path, index) => {
      // Those before the first broken one are still looked at: one of them may be broken too.
      if (broken.size > 0) return new Uint8Array();
      try {
        return await decodeImage(path, shape);
      } catch (error) {
        broken.set(index, error);
        return new Uint8Array();
      }
    },
    signal,
  );
  const first = [...broken.keys()].sort((left, right) => left - right)[0];
  if (first !== undefined) throw broken.get(first);
  return decoded;
}
