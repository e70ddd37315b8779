/** Hands out a split batch by batch from memory of the engine: shuffled by (seed, epoch), augmented and normalised there. */
import { keep, scope, Tensor } from '@cohort/torch';
import {
  augmentBatch,
  checkAugmentation,
  drawAugmentation,
  type AugmentationOptions,
} from './augmentation.ts';
import type { ImageShape, ImageSplit } from './dataset.ts';
import { DataError } from './errors.ts';
import type { Normalisation } from './normalisation.ts';
import { BatchNormaliser } from './normaliseBatch.ts';
import { RANDOM_PURPOSE, shuffleInPlace } from './random.ts';

/** How a {@link BatchLoader} makes batches. Without the optional ones: in order, complete, unchanged, as for evaluation. */
export interface BatchLoaderOptions {
  readonly shape: ImageShape;
  readonly batchSize: number;
  readonly normalisation: Normalisation;
  /** Seeds order and augmentation; 0 unless given. */
  readonly seed?: number;
  /** A new order every epoch. */
  readonly shuffle?: boolean;
  /** Leaves out a last batch that is not full: batch norm fails on one image, and small batches weigh too much. */
  readonly dropLast?: boolean;
  readonly augmentation?: AugmentationOptions | null;
  /** Lays images out channels-last in memory; the shape stays `[B, C, H, W]`. */
  readonly channelsLast?: boolean;
}

/** One batch. Its tensors belong to the scope it was made in; without one, call `dispose`. */
export interface Batch {
  /** Normalised float32, `[B, C, H, W]`. */
  readonly images: Tensor;
  /** int64, `[B]`. */
  readonly labels: Tensor;
  /** Positions of the samples in the split, `[B]`. */
  readonly indices: Int32Array;
  /** Releases both tensors. */
  dispose(): void;
}

/** Batches of a split. The split's bytes are copied once to the engine and stay there until `dispose`. */
export class BatchLoader {
  /** Batches in an epoch. */
  readonly batchCount: number;
  /** Images in an epoch, fewer than the split has when `dropLast` leaves some out. */
  readonly imageCount: number;
  readonly #options: BatchLoaderOptions;
  readonly #count: number;
  readonly #images: Tensor; // uint8 [N, C, H, W]
  readonly #labels: Tensor; // int64 [N]
  readonly #normaliser: BatchNormaliser;
  #order: { epoch: number; indices: Int32Array } | undefined;

  /** @throws {@link DataError} `argument` for a batch size larger than the split, or settings that do not fit its shape. */
  constructor(split: ImageSplit, options: BatchLoaderOptions) {
    const { batchSize, shape, dropLast = false, augmentation } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > split.count) {
      throw new DataError('argument', {
        operation: 'setting up batches',
        expected: `a batch size from 1 to ${split.count} (the images in the split)`,
        received: `${batchSize}`,
        remedy: 'Lower train.batchSize or take more images.',
      });
    }
    if (augmentation != null) checkAugmentation(augmentation, shape);
    this.#options = options;
    this.#count = split.count;
    this.batchCount = dropLast ? Math.floor(split.count / batchSize) : Math.ceil(split.count / batchSize);
    this.imageCount = dropLast ? this.batchCount * batchSize : split.count;
    this.#normaliser = new BatchNormaliser(options.normalisation);
    // Kept, because a loader outlives whatever scope it happens to be made in.
    this.#images = keep(
      Tensor.fromTypedArray(split.images, [split.count, shape.channels, shape.height, shape.width]),
    );
    this.#labels = keep(scope(() => Tensor.fromTypedArray(split.labels, [split.count]).to('int64')));
  }

  /** The batches of an epoch, each made when it is asked for. */
  *epoch(epoch: number): Generator<Batch, void, undefined> {
    for (let number = 0; number < this.batchCount; number += 1) yield this.batch(epoch, number);
  }

  /**
   * Batch `number` (from 0) of an epoch, the same whatever was asked for before: a resumed run starts in the middle, and
   * a training step makes its batch inside its own scope.
   * @throws {@link DataError} `argument` for a number past the epoch's end.
   */
  batch(epoch: number, number: number): Batch {
    if (!Number.isInteger(number) || number < 0 || number >= this.batchCount) {
      throw new DataError('argument', {
        operation: 'making a batch',
        expected: `a batch number from 0 to ${this.batchCount - 1}`,
        received: `${number}`,
        remedy: 'Start the next epoch.',
      });
    }
    const start = number * this.#options.batchSize;
    const indices = this.#orderOf(epoch).slice(
      start,
      Math.min(start + this.#options.batchSize, this.imageCount),
    );
    const [images, labels] = scope(() => this.#make(epoch, indices));
    return {
      images,
      labels,
      indices,
      dispose: () => {
        images.dispose();
        labels.dispose();
      },
    };
  }

  /** Releases the split's memory on the engine; batches already made stay sound. */
  dispose(): void {
    this.#images.dispose();
    this.#labels.dispose();
    this.#normaliser.dispose();
  }

  #make(epoch: number, indices: Int32Array): [Tensor, Tensor] {
    const { augmentation, seed = 0, channelsLast = false } = this.#options;
    const rows = Tensor.fromTypedArray(indices).to('int64');
    const raw = this.#images.indexSelect(0, rows); // [B, C, H, W]
    const augmented =
      augmentation == null
        ? raw
        : augmentBatch(raw, augmentation, drawAugmentation(augmentation, { seed, epoch, indices }));
    const images = this.#normaliser.apply(augmented);
    return [
      channelsLast ? images.contiguous({ memoryFormat: 'channelsLast' }) : images,
      this.#labels.indexSelect(0, rows),
    ];
  }

  #orderOf(epoch: number): Int32Array {
    if (this.#order?.epoch === epoch) return this.#order.indices;
    const indices = Int32Array.from({ length: this.#count }, (_, index) => index);
    if (this.#options.shuffle === true)
      shuffleInPlace(indices, RANDOM_PURPOSE.order, this.#options.seed ?? 0, epoch);
    this.#order = { epoch, indices };
    return indices;
  }
}
