/** Hands out a split batch by batch on the engine, from memory or a source: sampled by (seed, epoch), augmented and normalised. */
import { keep, scope, Tensor } from '@cohort-ml/torch';
import { Augmenter, type AugmentationOptions } from '../augment/index.ts';
import type { MixedLabels } from '../../losses/index.ts';
import { at } from '../../support/at.ts';
import { viewKeys, type DrawKeys } from '../augment/draws.ts';
import type { ImageShape, ImageSplit } from '../dataset.ts';
import { DataError } from '../errors.ts';
import type { Normalisation } from './normalisation.ts';
import { BatchNormaliser } from './normaliseBatch.ts';
import type { ImagePixels, ResidentPixels } from './pixelSource.ts';
import { Prefetcher, type BatchPlace } from './prefetch.ts';
import { countRepeats, epochOrder, type SamplerSettings } from '../samplers/index.ts';

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
  /** Times that every image is varied anew: 2 for methods that learn from two views; 1 unless given. */
  readonly viewsPerImage?: 1 | 2;
  /** Lays images out channels-last in memory; the shape stays `[B, C, H, W]`. */
  readonly channelsLast?: boolean;
}

/** One batch. Its tensors belong to the scope it was made in; without one, call `dispose`. */
export interface Batch {
  /** Normalised float32, `[B, C, H, W]`; the first view where there are several. */
  readonly images: Tensor;
  /** The images as each network sees them; absent where all see the same. */
  readonly views?: readonly Tensor[];
  /** The same images, varied anew: the second view of each; absent unless there are two. */
  readonly otherView?: { readonly images: Tensor; readonly views?: readonly Tensor[] };
  /** int64, `[B]`. */
  readonly labels: Tensor;
  /** Partners of the labels where images were mixed. */
  readonly mix?: MixedLabels;
  /** Positions of the samples in the split, `[B]`. */
  readonly indices: Int32Array;
  /** How often each sample came earlier in the same epoch, `[B]`: above 0 only where a sampler repeats images. */
  readonly repeats: Int32Array;
  /** Releases all tensors. */
  dispose(): void;
}

/** What a training or an evaluation needs of a loader; tasks other than classification have loaders of their own. */
export type Batches = Pick<BatchLoader, 'batchCount' | 'imageCount' | 'ready' | 'batch' | 'dispose'>;

/**
 * Batches of a split. Bytes in memory are copied once to the engine and stay there until `dispose`; a source keeps its own.
 * Of a streamed source a batch can only be made after `ready` was awaited for it.
 */
export class BatchLoader {
  /** Batches in an epoch. */
  readonly batchCount: number;
  /** Images in an epoch, fewer than the split has when `dropLast` leaves some out. */
  readonly imageCount: number;
  readonly #options: BatchLoaderOptions;
  readonly #images: Tensor | ResidentPixels | Prefetcher; // uint8 [N, C, H, W]
  readonly #labels: Tensor; // int64 [N]
  /** The same labels, for samplers. */
  readonly #labelArray: ArrayLike<number>;
  readonly #normaliser: BatchNormaliser;
  readonly #augmenter: Augmenter | null;
  #order: { epoch: number; indices: Int32Array; repeats: Int32Array } | undefined;

  /** @throws {@link DataError} `argument` for a batch size larger than the split, or settings that do not fit its shape. */
  constructor(split: ImageSplit<ImagePixels>, options: BatchLoaderOptions) {
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
    this.#images = this.#open(split);
    this.#labels = keep(scope(() => Tensor.fromTypedArray(split.labels, [split.count]).to('int64')));
  }

  /**
   * Resolves when `batch` can make this batch, and lets the next ones be decoded meanwhile. At once unless the split
   * is streamed from files.
   * @param others more batches of the epoch that will be made in the same step
   * @throws {@link DataError} for a file that cannot be decoded any more.
   */
  async ready(epoch: number, number: number, others: readonly number[] = []): Promise<void> {
    if (!(this.#images instanceof Prefetcher)) return;
    const needed = [number, ...others].map((each) => ({ epoch, number: each }));
    const following: BatchPlace[] = [];
    for (let ahead = 1; ahead <= Prefetcher.batchesAhead; ahead += 1) {
      const next = number + ahead;
      if (next < this.batchCount) following.push({ epoch, number: next });
      // Only training goes on with another epoch.
      else if (this.#options.sampler !== undefined)
        following.push({ epoch: epoch + 1, number: next % this.batchCount });
    }
    await this.#images.ready(needed, following, (place) => this.#indicesOf(place.epoch, place.number));
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
    const indices = this.#indicesOf(epoch, number);
    const fetched = this.#images instanceof Prefetcher ? this.#images.take({ epoch, number }) : undefined;
    const repeats = this.#partOf(this.#orderOf(epoch).repeats, number);
    const keys = { seed: this.#options.seed ?? 0, epoch, indices, repeats };
    const { passes, labels, mix } = this.#make(keys, fetched);
    const [first = [], second] = passes;
    return {
      ...asSeen(first),
      ...(second === undefined ? {} : { otherView: asSeen(second) }),
      labels,
      ...(mix === null ? {} : { mix }),
      indices,
      repeats,
      dispose: () => {
        for (const tensor of [...passes.flat(), labels, mix?.labels, mix?.weight]) tensor?.dispose();
      },
    };
  }

  /** Releases the split's memory on the engine; batches already made stay sound, and a source stays as it is. */
  dispose(): void {
    if (this.#images instanceof Tensor || this.#images instanceof Prefetcher) this.#images.dispose();
    this.#labels.dispose();
    this.#normaliser.dispose();
  }

  #open({ images, count }: ImageSplit<ImagePixels>): Tensor | ResidentPixels | Prefetcher {
    const { channels, height, width } = this.#options.shape;
    // Kept, because a loader outlives whatever scope it happens to be made in.
    if (images instanceof Uint8Array) {
      return keep(Tensor.fromTypedArray(images, [count, channels, height, width]));
    }
    return images.kind === 'resident' ? images : new Prefetcher(images);
  }

  /** Raw pixels of a batch, `[B, C, H, W]`. */
  #raw(indices: Int32Array, rows: Tensor, fetched: Uint8Array | undefined): Tensor {
    const { channels, height, width } = this.#options.shape;
    if (this.#images instanceof Tensor) return this.#images.indexSelect(0, rows);
    if (!(this.#images instanceof Prefetcher)) return this.#images.gather(indices);
    return Tensor.wrapTypedArray(fetched ?? new Uint8Array(), [indices.length, channels, height, width]);
  }

  #indicesOf(epoch: number, number: number): Int32Array {
    return this.#partOf(this.#orderOf(epoch).indices, number);
  }

  /** What an epoch has for one batch. */
  #partOf(epochValues: Int32Array, number: number): Int32Array {
    const start = number * this.#options.batchSize;
    const end = Math.min(start + this.#options.batchSize, this.imageCount);
    return epochValues.slice(start, end);
  }

  /** For each time that images are varied, what every network sees; labels and, where images are mixed, their partners. */
  #make(
    keys: DrawKeys,
    fetched: Uint8Array | undefined,
  ): { passes: Tensor[][]; labels: Tensor; mix: MixedLabels | null } {
    const { channelsLast = false, networks = 1, viewsPerImage = 1 } = this.#options;
    const augmenter = this.#augmenter;
    return scope(() => {
      const rows = Tensor.fromTypedArray(keys.indices).to('int64');
      const raw = this.#raw(keys.indices, rows, fetched); // [B, C, H, W]
      const labels = this.#labels.indexSelect(0, rows);
      const count = augmenter?.hasIndependentViews === true ? networks : 1;
      let views = Array.from({ length: viewsPerImage * count }, (_, view) =>
        this.#normaliser.apply(augmenter?.vary(raw, viewKeys(keys, view)) ?? raw),
      );
      let mix: MixedLabels | null = null;
      if (augmenter?.isMixing === true) ({ views, mix } = augmenter.mix(views, labels, keys));
      if (channelsLast) views = views.map((images) => images.contiguous({ memoryFormat: 'channelsLast' }));
      const passes = Array.from({ length: viewsPerImage }, (_, pass) =>
        views.slice(pass * count, (pass + 1) * count),
      );
      return { passes, labels, mix };
    });
  }

  #orderOf(epoch: number): { readonly indices: Int32Array; readonly repeats: Int32Array } {
    if (this.#order?.epoch === epoch) return this.#order;
    const { sampler, batchSize, seed = 0 } = this.#options;
    const { imageCount } = this;
    const indices =
      sampler === undefined
        ? Int32Array.from({ length: imageCount }, (_, index) => index)
        : epochOrder(sampler, { labels: this.#labelArray, batchSize, imageCount, seed, epoch });
    this.#order = { epoch, indices, repeats: countRepeats(indices) };
    return this.#order;
  }
}

/** One view for all networks, or each its own. */
function asSeen(views: readonly Tensor[]): Pick<Batch, 'images' | 'views'> {
  return { images: at(views, 0, 'the views of a batch'), ...(views.length > 1 ? { views } : {}) };
}
