/** The images that an export is measured on and calibrated by: raw, evenly taken from all classes of a split. */
import { setImmediate } from 'node:timers/promises';
import { scope, type Tensor } from '@cohort-ml/torch';
import {
  BatchLoader,
  type ImagePixels,
  type ImageShape,
  type ImageSplit,
  type Normalisation,
} from '../data/index.ts';
import { takeImages } from '../data/loading/subset.ts';

/** Bytes of float32 pixels in a batch, at most. */
const batchBytes = 4 * 1024 * 1024;

/** A batch that whoever takes it releases. */
export interface RawBatch {
  /** float32, 0 to 255, `[B, C, H, W]`. */
  readonly images: Tensor;
  /** int64, `[B]`. */
  readonly labels: Tensor;
}

/** Images of a split that can be gone through several times. */
export class RawImages {
  readonly count: number;
  readonly #loader: BatchLoader;
  readonly #signal: AbortSignal;
  readonly #inColour: boolean;

  /** @param inColour whether grey images are given as colour, `[B, 3, H, W]` */
  constructor(split: ImageSplit<ImagePixels>, shape: ImageShape, signal: AbortSignal, inColour = false) {
    const { channels, height, width } = shape;
    const largest = Math.max(1, Math.floor(batchBytes / (4 * channels * height * width)));
    this.count = split.count;
    this.#signal = signal;
    this.#inColour = inColour && channels === 1;
    this.#loader = new BatchLoader(split, {
      shape: { channels, height, width },
      batchSize: Math.min(split.count, largest),
      normalisation: unchanged(channels),
    });
  }

  /** @throws the signal's reason once it is aborted */
  async *batches(): AsyncGenerator<RawBatch, void, undefined> {
    for (let number = 0; number < this.#loader.batchCount; number += 1) {
      await setImmediate();
      this.#signal.throwIfAborted();
      await this.#loader.ready(0, number);
      yield scope(() => {
        const { images, labels } = this.#loader.batch(0, number);
        return { images: this.#inColour ? images.expand([-1, 3, -1, -1]).contiguous() : images, labels };
      });
    }
  }

  /** The images alone. */
  async *images(): AsyncGenerator<Tensor, void, undefined> {
    for await (const { images, labels } of this.batches()) {
      labels.dispose();
      yield images;
    }
  }

  dispose(): void {
    this.#loader.dispose();
  }
}

/** What gives pixels back as they are: `(pixel / 255 - 0) / (1 / 255)`. */
function unchanged(channels: number): Normalisation {
  const each = Array.from({ length: channels });
  return { mean: each.map(() => 0), std: each.map(() => 1 / 255) };
}

/**
 * `count` images of a split, of every class its share, in `parts` that have none in common and are equally mixed.
 *
 * @returns fewer images where the split is smaller
 */
export function evenParts(
  split: ImageSplit<ImagePixels>,
  shape: ImageShape,
  count: number,
  parts = 1,
): ImageSplit<ImagePixels>[] {
  const byClass = Array.from({ length: split.count }, (_, index) => index).sort(
    (left, right) => (split.labels[left] ?? 0) - (split.labels[right] ?? 0) || left - right,
  );
  const total = Math.min(split.count, count * parts);
  const taken = Array.from(
    { length: total },
    (_, position) => byClass[Math.floor(((position + 0.5) * split.count) / total)] ?? 0,
  );
  return Array.from({ length: parts }, (_, part) => {
    const own = taken.filter((_index, position) => position % parts === part);
    return takeImages(split, shape, Int32Array.from(own));
  });
}
