/** `cohort predict`: what a run's networks see in images from files. */
import { setImmediate } from 'node:timers/promises';
import { scope, Tensor } from '@cohort/torch';
import { BatchNormaliser, decodeImage } from '../data/index.ts';
import type { Reporter } from '../train/reporter.ts';
import { classProbabilities } from './accuracy.ts';
import { loadRun } from './loadRun.ts';

/** A class and how likely it is, 0 to 1. */
export interface LabelProbability {
  readonly label: string;
  readonly probability: number;
}

/** What a run's networks see in one image. */
export interface Prediction {
  readonly path: string;
  /** Of the ensemble, the likeliest first. */
  readonly top: readonly LabelProbability[];
  readonly perNetwork: readonly { readonly name: string; readonly top: readonly LabelProbability[] }[];
}

/** Settings of a prediction. */
export interface PredictOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** How many classes to name for each image, the likeliest first. */
  readonly top: number;
  /** Name of the checkpoint, `last` or `best`; the newest sound one unless given. */
  readonly checkpoint?: string;
}

/** More at once are not faster, and thousands would need more memory and open files than there are. */
const DECODED_TOGETHER = 8;

/**
 * Decodes each image to the size that the run was trained at, normalises it in the same way and ranks the classes.
 *
 * @throws {DataError} for an image that is missing or cannot be decoded, before any other is looked at.
 */
export async function predictRun(
  runPath: string,
  imagePaths: readonly string[],
  options: PredictOptions,
): Promise<readonly Prediction[]> {
  const run = loadRun(runPath, options.reporter, options.checkpoint);
  const { checkpoint, networks, names } = run;
  const normaliser = new BatchNormaliser(checkpoint.normalisation);
  const { channels, height, width, classes, fit = 'fill' } = checkpoint;
  try {
    // All are decoded first: one broken file is found before any work is shown.
    const decoded: Uint8Array[] = [];
    for (let start = 0; start < imagePaths.length; start += DECODED_TOGETHER) {
      options.signal.throwIfAborted();
      const paths = imagePaths.slice(start, start + DECODED_TOGETHER);
      decoded.push(
        ...(await Promise.all(paths.map((path) => decodeImage(path, { channels, height, width, fit })))),
      );
    }
    const predictions: Prediction[] = [];
    for (const [index, path] of imagePaths.entries()) {
      await setImmediate();
      options.signal.throwIfAborted();
      const pixels = decoded[index] ?? new Uint8Array();
      const ranked = scope(() => {
        const raw = Tensor.fromTypedArray(pixels, [1, channels, height, width]);
        return classProbabilities(networks, normaliser.apply(raw), run.ensemble).map((row) =>
          rank(row.toNumbers(), classes, options.top),
        );
      });
      predictions.push({
        path,
        top: ranked.at(-1) ?? [],
        perNetwork: names.map((name, network) => ({ name, top: ranked[network] ?? [] })),
      });
    }
    return predictions;
  } finally {
    run.dispose();
    normaliser.dispose();
  }
}

function rank(
  probabilities: readonly number[],
  classes: readonly string[],
  count: number,
): LabelProbability[] {
  return probabilities
    .map((probability, index) => ({ label: classes[index] ?? String(index), probability }))
    .sort((left, right) => right.probability - left.probability)
    .slice(0, count);
}
