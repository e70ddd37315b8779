/** Runs decoded images through a run's networks and ranks the classes. */
import { noGrad, scope, Tensor } from '@cohort-ml/torch';
import { imageBytes, type ImageShape } from '../data/dataset.ts';
import type { BatchNormaliser } from '../data/loading/normaliseBatch.ts';
import { rank, type LabelProbability } from '../evaluate/rank.ts';
import type { LoadedRun } from './loadRun.ts';

/** What a run's networks see in one image. */
export interface Prediction {
  readonly path: string;
  /** Of the ensemble, the likeliest first. */
  readonly top: readonly LabelProbability[];
  readonly perNetwork: readonly { readonly name: string; readonly top: readonly LabelProbability[] }[];
}

/** A decoded image. */
export interface PixelsOfFile {
  readonly path: string;
  /** `[C, H, W]`. */
  readonly pixels: Uint8Array;
}

/** How images are ranked. */
export interface RankOptions {
  /** How many classes to name for each image. */
  readonly top: number;
  /**
   * Whether the images go through the networks as one batch, so that the last digits of what is seen in one depend on the
   * others; by default each is a batch of its own, and small networks take several at the same time.
   */
  readonly isBatch?: boolean;
}

/** What is seen in images. */
export function predictPixels(
  { checkpoint, classifier, names }: LoadedRun,
  normaliser: BatchNormaliser,
  images: readonly PixelsOfFile[],
  { top, isBatch = false }: RankOptions,
): Prediction[] {
  const { channels, height, width, classes } = checkpoint;
  const size = imageBytes(checkpoint);
  const all = new Uint8Array(images.length * size);
  for (const [row, { pixels }] of images.entries()) all.set(pixels, row * size);
  // Probabilities are in float32.
  const probabilities = noGrad(() =>
    scope(() => {
      const raw = Tensor.fromTypedArray(all, [images.length, channels, height, width]);
      const normalised = normaliser.apply(raw).contiguous({ memoryFormat: 'channelsLast' });
      return (
        isBatch ? classifier.call(normalised) : classifier.callRows(normalised)
      ).toTypedArray() as Float32Array;
    }),
  );
  return images.map(({ path }, row) => {
    const ranked = [...names, 'ensemble'].map((_, index) => {
      const start = (row * (names.length + 1) + index) * classes.length;
      return rank(probabilities.subarray(start, start + classes.length), classes, top);
    });
    return {
      path,
      top: ranked.at(-1) ?? [],
      perNetwork: names.map((name, network) => ({ name, top: ranked[network] ?? [] })),
    };
  });
}

/** Numbers of a group's images that take the networks about as long as one may wait to be interrupted. */
const NUMBERS_TOGETHER = 32 * 3 * 32 * 32;

/** How many images to hand to `predictPixels` at once, so that small ones share its overhead. */
export function imagesTogether(shape: ImageShape): number {
  return Math.max(1, Math.floor(NUMBERS_TOGETHER / imageBytes(shape)));
}
