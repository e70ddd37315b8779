/** Hands out a split batch by batch from memory of the engine: sampled by (seed, epoch), augmented and normalised there. */
import { keep, scope, Tensor } from '@cohort/torch';
import { Augmenter, type AugmentationOptions, type LabelMix } from './augment/index.ts';
import { viewKeys, type DrawKeys } from './augment/draws.ts';
import type { ImageShape, ImageSplit } from './dataset.ts';
import { DataError } from './errors.ts';
import type { Normalisation } from './normalisation.ts';
import { BatchNormaliser } from './normaliseBatch.ts';
import { epochOrder, type SamplerSettings } from './samplers/index.ts';

/** How a {@link BatchLoader} makes batches. Without the optional ones: in order, complete, unchanged, as for evaluation. */
export interface BatchLoaderOptions {
  readonly shape: ImageShape;
  readonly batchSize: number;
  readonly normalisation: Normalisation;
  /** Seeds order and augmentation; 0 unless given. */
  readonly seed?: number;
  /** How batches are put together, anew every epoch. */
  readonly sampler?: SamplerSettings;
  /** Leaves out a last batch that is not full: batch norm fails on one image, and small batches weigh too much. */
  readonly dropLast?: boolean;
  readonly augmentation?: AugmentationOptions | null;
  /** Networks that see a batch; 1 unless given. It matters where augmentation gives each its own view. */
  readonly networks?: number;
  /** Lays images out channels-last in memory; the shape stays `[B, C, H, W]`. */
  readonly channelsLast?: boolean;
}

/** One batch. Its tensors belong to the scope it was made in; without one, call `dispose`. */
export interface Batch {
  /** Normalised float32, `[B, C, H, W]`; the first view where there are several. */
  readonly images: Tensor;
  /** The images as each network sees them; absent where all see the same. */
  readonly views?: readonly Tensor[];
  /** int64, `[B]`. */
  readonly labels: Tensor;
  /** Partners of the labels where images were mixed. */
  readonly mix?: LabelMix;
  /** Positions of the samples in the split, `[B]`. */
  readonly indices: Int32Array;
  /** Releases all tensors. */
  dispose(): void;
}

/** Batches of a split. The split's bytes are copied once to the engine and stay there until `dispose`. */
export class BatchLoader {
  /** Batches in an epoch. */
  readonly batchCount: number;
  /** Images in an epoch, fewer than the split has when `dropLast` leaves some out. */
  readonly imageCount: number;
  readonly #options: BatchLoaderOptions;
  readonly #images: Tensor; // uint8 [N, C, H, W]
  readonly #labels: Tensor; // int64 [N]
  /** The same labels, for samplers. */
  readonly #labelArray: ArrayLike<number>;
  readonly #normaliser: BatchNormaliser;
  readonly #augmenter: Augmenter | null;
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
    this.#augmenter = augmentation == null ? null : new Augmenter(augmentation, shape, options.normalisation);
    this.#options = options;
    this.#labelArray = split.labels;
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
    const { views, labels, mix } = this.#make({ seed: this.#options.seed ?? 0, epoch, indices });
    const [images] = views as [Tensor, ...Tensor[]];
    return {
      images,
      ...(views.length > 1 ? { views } : {}),
      labels,
      ...(mix === null ? {} : { mix }),
      indices,
      dispose: () => {
        for (const tensor of [...views, labels, mix?.labels, mix?.weight]) tensor?.dispose();
      },
    };
  }

  /** Releases the split's memory on the engine; batches already made stay sound. */
  dispose(): void {
    this.#images.dispose();
    this.#labels.dispose();
    this.#normaliser.dispose();
  }

  /** Images as each view shows them, labels and, where images are mixed, their partners. */
  #make(keys: DrawKeys): { views: Tensor[]; labels: Tensor; mix: LabelMix | null } {
    const { channelsLast = false, networks = 1 } = this.#options;
    const augmenter = this.#augmenter;
    return scope(() => {
      const rows = Tensor.fromTypedArray(keys.indices).to('int64');
      const raw = this.#images.indexSelect(0, rows); // [B, C, H, W]
      const labels = this.#labels.indexSelect(0, rows);
      const count = augmenter?.hasIndependentViews === true ? networks : 1;
      let views = Array.from({ length: count }, (_, view) =>
        this.#normaliser.apply(augmenter?.vary(raw, viewKeys(keys, view)) ?? raw),
      );
      let mix: LabelMix | null = null;
      if (augmenter?.isMixing === true) ({ views, mix } = augmenter.mix(views, labels, keys));
      if (channelsLast) views = views.map((images) => images.contiguous({ memoryFormat: 'channelsLast' }));
      return { views, labels, mix };
    });
  }

  #orderOf(epoch: number): Int32Array {
    if (this.#order?.epoch === epoch) return this.#order.indices;
    const { sampler, batchSize, seed = 0 } = this.#options;
    const { imageCount } = this;
    const indices =
      sampler === undefined
        ? Int32Array.from({ length: imageCount }, (_, index) => index)
        : epochOrder(sampler, { labels: this.#labelArray, batchSize, imageCount, seed, epoch });
    this.#order = { epoch, indices };
    return indices;
  }
}
