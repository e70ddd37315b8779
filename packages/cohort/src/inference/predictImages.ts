/** Classifies any number of images with a run's networks, one result after the other: what is broken costs only itself. */
import { setImmediate } from 'node:timers/promises';
import { Limit } from '../data/decode/limit.ts';
import { decodeImage, type DecodeOptions } from '../data/loading/decodeImage.ts';
import { DataError } from '../data/errors.ts';
import { BatchNormaliser } from '../data/loading/normaliseBatch.ts';
import { assertTrainedClassifier } from './trainedClassifier.ts';
import { loadRun, type LoadedRun } from './loadRun.ts';
import { openedRun, type OnOpened } from './openedRun.ts';
import {
  imagesTogether,
  predictPixels,
  type PixelsOfFile,
  type Prediction,
  type RankOptions,
} from './predictPixels.ts';
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
   * Images that go through the networks as one batch; 1 unless given, since matrix products round by the size of the batch:
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
    const isBatch = batch > 1;
    let waiting: Decoded[] = [];
    for await (const group of decodedInOrder(images, shape, isBatch ? 1 : imagesTogether(shape), batch)) {
      signal.throwIfAborted();
      waiting.push(...group);
      if (waiting.length < batch) continue;
      yield* predictAll(run, normaliser, waiting, { top: options.top, isBatch });
      waiting = [];
      await setImmediate();
    }
    yield* predictAll(run, normaliser, waiting, { top: options.top, isBatch });
  } finally {
    run.dispose();
    normaliser.dispose();
  }
}

type Decoded = PixelsOfFile | FailedPrediction;

/**
 * Decodes a bounded number of images ahead, in their order: groups of up to `most`, of those that need not be waited for once
 * the first is there. What is decoded does not wait for the next image to be found.
 */
async function* decodedInOrder(
  images: AsyncGenerator<ImageInput, void, undefined>,
  shape: DecodeOptions,
  most: number,
  batch: number,
): AsyncGenerator<Decoded[], void, undefined> {
  const ahead = Math.max(2 * most, batch, DECODED_TOGETHER);
  const limit = new Limit(DECODED_TOGETHER);
  const queue: Decoding[] = [];
  let finding: ReturnType<typeof images.next> | null = images.next();
  try {
    while (finding !== null || queue.length > 0) {
      const first = queue[0]?.decoded.then(() => null);
      const found =
        finding === null || queue.length >= ahead
          ? null
          : await Promise.race(first === undefined ? [finding] : [first, finding]);
      if (found === null) {
        yield await takeDecoded(queue, most);
      } else if (found.done === true) {
        finding = null;
      } else {
        queue.push(begun(limit.run(() => decode(found.value, shape))));
        finding = images.next();
      }
    }
  } finally {
    // Whoever stops half-way does not leave failures behind that nobody listens to, nor waits for more of standard input.
    finding?.catch(() => undefined);
    images.return().catch(() => undefined);
    await Promise.allSettled(queue.map(({ decoded }) => decoded));
  }
}

interface Decoding {
  readonly decoded: Promise<Decoded>;
  isDone: boolean;
}

function begun(decoded: Promise<Decoded>): Decoding {
  const entry = { decoded, isDone: false };
  const settle = (): void => {
    entry.isDone = true;
  };
  decoded.then(settle, settle);
  return entry;
}

/** The first, and those after it that are there already. */
async function takeDecoded(queue: Decoding[], most: number): Promise<Decoded[]> {
  const group: Decoded[] = [];
  do {
    const next = queue.shift();
    if (next !== undefined) group.push(await next.decoded);
  } while (group.length < most && queue[0]?.isDone === true);
  return group;
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
  options: RankOptions,
): Generator<ImagePrediction, void, undefined> {
  const whole = images.flatMap((image) => ('pixels' in image ? [image] : []));
  const predictions = whole.length === 0 ? [] : predictPixels(run, normaliser, whole, options);
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
