/** Hands out annotated images batch by batch, sampled by seed and epoch, transformed and normalised, with what is to be learned of them. */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import type { Batch, Batches, Normalisation } from '../../data/index.ts';
import { BatchNormaliser, DataError } from '../../data/index.ts';
import { hashKeys, RANDOM_PURPOSE } from '../../data/loading/random.ts';
import { epochOrder } from '../../data/samplers/index.ts';
import { at } from '../../support/at.ts';
import type { FittedImages, ImageSize } from './fittedImages.ts';
import {
  drawTransform,
  identityTransform,
  transformImage,
  transformLabels,
  transformObjects,
  type PlacedObject,
  type Transform,
  type TransformSettings,
} from './transforms.ts';

/** What is to be learned of the images of a batch. */
export interface Targets {
  /** Class of each pixel, int64 `[B, H, W]`; null where images have boxes. */
  readonly labels: Tensor | null;
  /** Objects of each image, in pixels of the batch. */
  readonly objects: readonly (readonly PlacedObject[])[];
}

/** A part of an image that counts as one sample where networks learn from each other. */
export interface Region {
  /** Place of its image in the batch. */
  readonly image: number;
  readonly category: number;
  /** In pixels of the batch; null for the pixels of a class. */
  readonly box: PlacedObject['box'] | null;
}

/** How batches are made; without `transforms` in order, complete and unchanged, as for evaluation. */
export interface TaskBatchOptions {
  readonly size: ImageSize;
  readonly batchSize: number;
  readonly normalisation: Normalisation;
  readonly seed?: number;
  readonly transforms?: TransformSettings | null;
  readonly channelsLast: boolean;
  /** Finds the regions of a batch, whose categories are its labels; null where nobody asks for them. */
  readonly regions?: ((targets: Targets) => readonly Region[]) | null;
}

/** What is kept of a batch under its images. */
interface Kept {
  readonly epoch: number;
  readonly number: number;
  readonly targets: Targets;
  readonly regions: readonly Region[];
}

/** Batches of a split. */
export class TaskBatches implements Batches {
  readonly batchCount: number;
  readonly imageCount: number;
  readonly images: FittedImages;
  readonly #options: TaskBatchOptions;
  readonly #normaliser: BatchNormaliser;
  readonly #kept = new WeakMap<Tensor, Kept>();
  #order: { readonly epoch: number; readonly indices: Int32Array } | null = null;

  /** @throws {DataError} for a batch that is larger than the split */
  constructor(images: FittedImages, options: TaskBatchOptions) {
    const { batchSize, transforms = null } = options;
    const isTraining = transforms !== null;
    if (isTraining && images.count < batchSize) {
      throw new DataError('argument', {
        operation: 'setting up batches',
        expected: `a batch size from 2 to ${images.count} (the training images)`,
        received: `${batchSize}`,
        remedy: 'Lower train.batchSize or take more images.',
      });
    }
    this.images = images;
    this.#options = options;
    this.#normaliser = new BatchNormaliser(options.normalisation);
    this.batchCount = isTraining ? Math.floor(images.count / batchSize) : Math.ceil(images.count / batchSize);
    this.imageCount = isTraining ? this.batchCount * batchSize : images.count;
  }

  /** Resolves when `batch` can make this batch. */
  async ready(epoch: number, number: number): Promise<void> {
    await this.images.ready(this.#indicesOf(epoch, number));
  }

  /** Batch `number` of an epoch, the same whatever was asked for before. Its labels are the categories of its regions. */
  batch(epoch: number, number: number): Batch {
    const indices = this.#indicesOf(epoch, number);
    const { images, targets } = this.#make(epoch, indices);
    const regions = this.#options.regions?.(targets) ?? [];
    const labels = scope(() =>
      Tensor.fromTypedArray(Int32Array.from(regions, ({ category }) => category)).to('int64'),
    );
    this.#kept.set(images, { epoch, number, targets, regions });
    this.images.release(indices);
    return {
      images,
      labels,
      indices,
      repeats: new Int32Array(indices.length),
      dispose: () => {
        for (const tensor of [images, labels, targets.labels]) tensor?.dispose();
      },
    };
  }

  /** What is to be learned of the images of a batch that this made. */
  targetsOf(images: Tensor): Targets {
    return this.#keptOf(images).targets;
  }

  /** The regions of such a batch, in the order of its labels. */
  regionsOf(images: Tensor): readonly Region[] {
    return this.#keptOf(images).regions;
  }

  /** A seed for what a network draws on such a batch, whatever is drawn for the other networks. */
  seedOf(images: Tensor, network: number): number {
    const { epoch, number } = this.#keptOf(images);
    return hashKeys(RANDOM_PURPOSE.taskStep, this.#options.seed ?? 0, epoch, number, network);
  }

  dispose(): void {
    this.#normaliser.dispose();
  }

  #keptOf(images: Tensor): Kept {
    const kept = this.#kept.get(images);
    if (kept === undefined) throw new RangeError('These images are not a batch of this loader.');
    return kept;
  }

  #make(epoch: number, indices: Int32Array): { images: Tensor; targets: Targets } {
    const { size, transforms = null, seed = 0, channelsLast } = this.#options;
    const objects: PlacedObject[][] = [];
    const tensors = scope(() => {
      const images: Tensor[] = [];
      const labels: Tensor[] = [];
      for (const index of indices) {
        const fitted = this.images.get(index);
        const transform: Transform =
          transforms === null
            ? identityTransform(fitted, size)
            : drawTransform(fitted, size, transforms, { seed, epoch, index, repeat: 0 });
        const raw = Tensor.fromTypedArray(fitted.pixels, [1, 3, fitted.height, fitted.width]);
        images.push(transformImage(this.#normaliser.apply(raw), transform));
        if (fitted.labels !== null) {
          const mask = Tensor.fromTypedArray(fitted.labels, [1, fitted.height, fitted.width]);
          labels.push(transformLabels(mask, transform));
        }
        const source = at(this.images.images, index, 'the images');
        objects.push(transformObjects(source.objects, source, transform));
      }
      const stacked = ops.cat(images, 0); // [B, 3, H, W]
      return {
        images: channelsLast ? stacked.contiguous({ memoryFormat: 'channelsLast' }) : stacked,
        labels: labels.length === 0 ? null : ops.cat(labels, 0),
      };
    });
    return { images: tensors.images, targets: { labels: tensors.labels, objects } };
  }

  #indicesOf(epoch: number, number: number): Int32Array {
    const { batchSize } = this.#options;
    return this.#orderOf(epoch).slice(
      number * batchSize,
      Math.min((number + 1) * batchSize, this.imageCount),
    );
  }

  #orderOf(epoch: number): Int32Array {
    const { transforms = null, batchSize, seed = 0 } = this.#options;
    const { imageCount } = this;
    if (transforms === null) return Int32Array.from({ length: imageCount }, (_, index) => index);
    if (this.#order?.epoch === epoch) return this.#order.indices;
    const labels = new Uint8Array(this.images.count);
    const indices = epochOrder({ name: 'shuffled' }, { labels, batchSize, imageCount, seed, epoch });
    this.#order = { epoch, indices };
    return indices;
  }
}
