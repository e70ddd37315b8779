/** Classifies any number of images with a run's networks, one result after the other: what is broken costs only itself. */
import { setImmediate } from 'node:timers/promises';
import { decodeImage, type DecodeOptions } from '../data/loading/decodeImage.ts';
import { DataError } from '../data/errors.ts';
import { BatchNormaliser } from '../data/loading/normaliseBatch.ts';
import { assertTrainedClassifier } from './trainedClassifier.ts';
import { loadRun, type LoadedRun } from './loadRun.ts';
import { openedRun, type OnOpened } from './openedRun.ts';
import { predictPixels, type Prediction } from './predictPixels.ts';
import type { PredictOptions } from './predictRun.ts';
import { imageInputs, type ImageInput, type InputOptions } from './imageInputs.ts';
import { withTemporaryFile } from './temporaryFile.ts';

/** An image that could not be classified, and why. */
export interface FailedPrediction {
  readonly path: string;
  readonly error: string;
}

/** The result for one image. */
export type ImagePrediction = Prediction | FailedPrediction;

/** Settings of `predictImages`. */
export interface PredictImagesOptions extends PredictOptions, Pick<InputOptions, 'stdin'> {
  /**
   * Images that go through the networks together; 1 unless given, since matrix products round by the size of the batch:
   * with more, the last digits depend on the other images.
   */
  readonly batch?: number;
  readonly onOpened?: OnOpened;
}

/** More at once are not faster, and thousands would need more memory and open files than there are. */
const DECODED_TOGETHER = 8;

/**
 * Results in the order of the images, each as soon as it is known. Only a few images are in memory at a time.
 *
 * @param inputs paths of files and folders, patterns, and `-` for standard input: see `imageInputs`
 * @throws typed errors of the run and its checkpoint; never for an image, which gives a `FailedPrediction`
 */
export async function* predictImages(
  runPath: string,
  inputs: readonly string[],
  options: PredictImagesOptions,
): AsyncGenerator<ImagePrediction, void, undefined> {
  const { signal, batch = 1, stdin } = options;
  const run = loadRun(runPath, options.reporter, options.checkpoint, options.device);
  const { channels, height, width, fit = 'fill', normalisation } = run.checkpoint;
  const normaliser = new BatchNormaliser(normalisation);
  const shape = { channels, height, width, fit };
  try {
    assertTrainedClassifier(run.recipe, runPath);
    options.onOpened?.(openedRun(run));
    const images = imageInputs(inputs, { signal, ...(stdin === undefined ? {} : { stdin }) });
    let waiting: Decoded[] = [];
    for await (const image of decodedInOrder(images, shape, Math.max(batch, DECODED_TOGETHER))) {
      signal.throwIfAborted();
      waiting.push(image);
      if (waiting.length < batch) continue;
      yield* predictAll(run, normaliser, waiting, options.top);
      waiting = [];
      await setImmediate();
    }
    yield* predictAll(run, normaliser, waiting, options.top);
  } finally {
    run.dispose();
    normaliser.dispose();
  }
}

type Decoded = { readonly path: string; readonly pixels: Uint8Array } | FailedPrediction;

/** Decodes a bounded number of images ahead. */
async function* decodedInOrder(
  images: AsyncIterable<ImageInput>,
  shape: DecodeOptions,
  ahead: number,
): AsyncGenerator<Decoded, void, undefined> {
  const queue: Promise<Decoded>[] = [];
  try {
    for await (const image of images) {
      queue.push(decode(image, shape));
      const next = queue.length >= ahead ? queue.shift() : undefined;
      if (next !== undefined) yield await next;
    }
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) yield await next;
  } finally {
    // Whoever stops half-way does not leave failures behind that nobody listens to.
    await Promise.allSettled(queue);
  }
}

async function decode(image: ImageInput, shape: DecodeOptions): Promise<Decoded> {
  if ('error' in image) return image;
  const { path, bytes } = image;
  try {
    const pixels =
      bytes === undefined
        ? await decodeImage(path, shape)
        : await withTemporaryFile(bytes, '', (file) => decodeImage(file, shape));
    return { path, pixels };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { path, error: error.reason };
  }
}

/** A network that answers NaN knows nothing of the image, and the order of its classes means nothing. */
function refuseNaN(prediction: Prediction): ImagePrediction {
  const isNaN = ({ top }: Pick<Prediction, 'top'>): boolean =>
    top.some(({ probability }) => Number.isNaN(probability));
  if (!isNaN(prediction)) return prediction;
  const names = prediction.perNetwork.filter(isNaN).map(({ name }) => name);
  const answer = names.length === 1 ? 'answers' : 'answer';
  return {
    path: prediction.path,
    error: `${names.join(' and ')} ${answer} NaN, as networks do whose training diverged; use an earlier checkpoint with --checkpoint`,
  };
}

function* predictAll(
  run: LoadedRun,
  normaliser: BatchNormaliser,
  images: readonly Decoded[],
  top: number,
): Generator<ImagePrediction, void, undefined> {
  const whole = images.flatMap((image) => ('pixels' in image ? [image] : []));
  const predictions = whole.length === 0 ? [] : predictPixels(run, normaliser, whole, top);
  let next = 0;
  for (const image of images) {
    if ('error' in image) yield image;
    else {
      const prediction = predictions[next];
      next += 1;
      if (prediction !== undefined) yield refuseNaN(prediction);
    }
  }
}
