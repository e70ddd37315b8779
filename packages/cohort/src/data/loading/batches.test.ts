/** The loader covers each image once an epoch, repeats itself exactly for the same keys, and leaks no tensor. */
import { liveTensorCount, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { cropAndFlip, drawCropAndFlip } from '../augment/cropAndFlip.ts';
import { BatchLoader, type BatchLoaderOptions } from './batches.ts';
import { channelStatistics } from './normalisation.ts';
import { BatchNormaliser } from './normaliseBatch.ts';
import { takeImages } from './subset.ts';
import { cyclicLabels, dataErrorOf, madeUpSplit } from '../testing.ts';

const shape = { channels: 2, height: 4, width: 3 };
const split = madeUpSplit(shape, cyclicLabels(23, 5));
const normalisation = channelStatistics(split, shape);
const plain: BatchLoaderOptions = { shape, batchSize: 5, normalisation };
const training: BatchLoaderOptions = {
  ...plain,
  seed: 9,
  sampler: { name: 'shuffled' },
  dropLast: true,
  augmentation: { cropPadding: 1, horizontalFlip: true },
};

interface PlainBatch {
  indices: number[];
  images: number[];
  labels: number[];
}

/** All batches of an epoch as plain numbers. */
function batchesOf(options: BatchLoaderOptions, epoch: number): PlainBatch[] {
  const loader = new BatchLoader(split, options);
  const batches = Array.from(loader.epoch(epoch), (batch) => {
    const { indices, images, labels } = batch;
    const numbers = { indices: Array.from(indices), images: images.toNumbers(), labels: labels.toNumbers() };
    batch.dispose();
    return numbers;
  });
  loader.dispose();
  return batches;
}

const orderOf = (batches: PlainBatch[]): number[] => batches.flatMap((batch) => batch.indices);
const ascending = (values: number[]): number[] => values.toSorted((left, right) => left - right);
const everyIndex = Array.from({ length: split.count }, (_, index) => index);

describe('BatchLoader', () => {
  it('goes through the whole split in order for evaluation', () => {
    const batches = batchesOf(plain, 0);
    expect(batches.map((batch) => batch.indices.length)).toEqual([5, 5, 5, 5, 3]);
    expect(orderOf(batches)).toEqual(everyIndex);
    expect(batches.flatMap((batch) => batch.labels)).toEqual(Array.from(split.labels));
    const values = batches.flatMap((batch) => batch.images);
    for (const [position, value] of values.entries()) {
      const channel = Math.floor(position / 12) % 2;
      const raw = (split.images[position] ?? 0) / 255;
      expect(value).toBeCloseTo(
        (raw - (normalisation.mean[channel] ?? 0)) / (normalisation.std[channel] ?? 1),
        4,
      );
    }
  });

  it('covers each index once an epoch when shuffled', () => {
    const order = orderOf(batchesOf({ ...training, dropLast: false }, 1));
    expect(order).not.toEqual(everyIndex);
    expect(ascending(order)).toEqual(everyIndex);
  });

  it('drops only what does not fill a batch', () => {
    const loader = new BatchLoader(split, training);
    expect([loader.batchCount, loader.imageCount]).toEqual([4, 20]);
    loader.dispose();
    const batches = batchesOf(training, 1);
    expect(batches.map((batch) => batch.indices.length)).toEqual([5, 5, 5, 5]);
    expect(new Set(orderOf(batches)).size).toBe(20);
  });

  it('repeats an epoch exactly, and orders another epoch or seed anew', () => {
    const first = batchesOf(training, 3);
    expect(batchesOf(training, 3)).toEqual(first);
    expect(orderOf(batchesOf(training, 4))).not.toEqual(orderOf(first));
    expect(orderOf(batchesOf({ ...training, seed: 10 }, 3))).not.toEqual(orderOf(first));
  });

  it('makes any batch of any epoch without having made those before', () => {
    const whole = batchesOf(training, 3);
    const loader = new BatchLoader(split, training);
    for (const [epoch, number] of [
      [1, 2],
      [3, 2],
      [2, 0],
      [3, 0],
    ] as const) {
      const batch = loader.batch(epoch, number);
      if (epoch === 3) {
        expect(Array.from(batch.indices)).toEqual(whole[number]?.indices);
        expect(batch.images.toNumbers()).toEqual(whole[number]?.images);
      }
      batch.dispose();
    }
    loader.dispose();
  });

  it('augments by sample, so another batch size makes the same images', () => {
    const bySample = (batches: PlainBatch[]) =>
      new Map(
        batches.flatMap(({ indices, images }) =>
          indices.map((index, row) => [index, images.slice(row * 24, row * 24 + 24)]),
        ),
      );
    const small = bySample(batchesOf({ ...training, dropLast: false, batchSize: 4 }, 2));
    const large = bySample(batchesOf({ ...training, dropLast: false, batchSize: 23 }, 2));
    expect(small.size).toBe(23);
    for (const [index, values] of small) expect(large.get(index)).toEqual(values);
  });

  it('pads with black before normalisation', () => {
    const options = { cropPadding: 1, horizontalFlip: true };
    const [first] = batchesOf(training, 1);
    expect(first).toBeDefined();
    if (first === undefined) return;
    const indices = Int32Array.from(first.indices);
    const normaliser = new BatchNormaliser(normalisation);
    const expected = scope(() => {
      const raw = Tensor.fromTypedArray(takeImages(split, shape, indices).images, [5, 2, 4, 3]);
      const draws = drawCropAndFlip(options, { seed: 9, epoch: 1, indices });
      return normaliser.apply(cropAndFlip(raw, options, draws)).toNumbers();
    });
    normaliser.dispose();
    expect(first.images).toEqual(expected);
  });

  it('has the shapes, dtypes and memory format asked for', () => {
    const loader = new BatchLoader(split, { ...training, channelsLast: true });
    scope(() => {
      const { images, labels } = loader.batch(1, 0);
      expect([images.dtype, labels.dtype]).toEqual(['float32', 'int64']);
      expect([images.shape, labels.shape]).toEqual([[5, 2, 4, 3], [5]]);
      expect(images.hasMemoryFormat('channelsLast')).toBe(true);
      expect(images.toNumbers()).toEqual(batchesOf(training, 1)[0]?.images);
    });
    loader.dispose();
  });

  it('gives each network a view of its own, the first as if it were the only one', () => {
    const shared = new BatchLoader(split, training);
    const augmentation = { ...training.augmentation, views: 'independent' } as const;
    const loader = new BatchLoader(split, { ...training, augmentation, networks: 3, channelsLast: true });
    scope(() => {
      const { images, views = [] } = loader.batch(1, 0);
      expect(views).toHaveLength(3);
      expect(images).toBe(views[0]);
      expect(images.toNumbers()).toEqual(shared.batch(1, 0).images.toNumbers());
      const [first, second, third] = views.map((view) => view.toNumbers());
      expect(second).not.toEqual(first);
      expect(third).not.toEqual(first);
      expect(third).not.toEqual(second);
      expect(views[2]?.hasMemoryFormat('channelsLast')).toBe(true);
      expect(shared.batch(1, 0).views).toBeUndefined();
    });
    loader.dispose();
    shared.dispose();
  });

  it('varies every image twice where two views are asked for, the first as if it were the only one', () => {
    const once = new BatchLoader(split, training);
    const twice = new BatchLoader(split, { ...training, viewsPerImage: 2 });
    const augmentation = { ...training.augmentation, views: 'independent' } as const;
    const each = new BatchLoader(split, { ...training, augmentation, networks: 2, viewsPerImage: 2 });
    scope(() => {
      const { images, otherView } = twice.batch(1, 0);
      expect(images.toNumbers()).toEqual(once.batch(1, 0).images.toNumbers());
      expect(otherView?.images.toNumbers()).not.toEqual(images.toNumbers());
      expect(otherView?.images.toNumbers()).toEqual(twice.batch(1, 0).otherView?.images.toNumbers());
      expect(once.batch(1, 0).otherView).toBeUndefined();
      const { views = [], otherView: other } = each.batch(1, 0);
      const all = [...views, ...(other?.views ?? [])].map((view) => view.toNumbers().join());
      expect(new Set(all).size).toBe(4);
    });
    for (const loader of [once, twice, each]) loader.dispose();
  });

  it('mixes normalised images of a batch and gives their second labels', () => {
    const before = liveTensorCount();
    const loader = new BatchLoader(split, { ...plain, seed: 3, augmentation: { mixup: { alpha: 1 } } });
    const unmixed = new BatchLoader(split, plain);
    const batch = loader.batch(1, 0);
    scope(() => {
      const { images, labels } = unmixed.batch(1, 0);
      const { mix } = batch;
      expect(mix?.labels.toNumbers().toSorted()).toEqual(labels.toNumbers().toSorted());
      // Labels 0 to 4 in order: they name the rows of the partners.
      const weight = mix?.weight.view([5, 1, 1, 1]) ?? images;
      const partners = images.indexSelect(0, mix?.labels ?? labels);
      const expected = images.mul(weight).add(partners.mul(weight.neg().add(1)));
      expect(batch.images.sub(expected).abs().max().item()).toBeLessThan(1e-5);
      expect(unmixed.batch(1, 0).mix).toBeUndefined();
    });
    batch.dispose();
    loader.dispose();
    unmixed.dispose();
    expect(liveTensorCount()).toBe(before);
  });

  it('puts together class-balanced batches, as many as shuffled ones', () => {
    const balanced = { ...training, sampler: { name: 'class-balanced', imagesPerClass: 2 } } as const;
    const batches = batchesOf(balanced, 1);
    expect(batches).toHaveLength(4);
    // Two images of a class and three of another.
    for (const { labels } of batches) expect(new Set(labels).size).toBe(2);
    expect(batchesOf(balanced, 1)).toEqual(batches);
  });

  it("leaves batches to the caller's scope and outlives the scope it was made in", () => {
    const before = liveTensorCount();
    const loader = scope(() => new BatchLoader(split, training));
    const own = liveTensorCount();
    for (let number = 0; number < loader.batchCount; number += 1) {
      scope(() => {
        const { images, labels } = loader.batch(1, number);
        expect(liveTensorCount()).toBe(own + 2);
        expect(images.shape[0]).toBe(labels.shape[0]);
      });
    }
    expect(liveTensorCount()).toBe(own);
    loader.dispose();
    expect(liveTensorCount()).toBe(before);
  });

  it.each([24, 0, 2.5, NaN])('refuses a batch size of %d', async (batchSize) => {
    const error = await dataErrorOf(() => new BatchLoader(split, { ...plain, batchSize }));
    expect(error.kind).toBe('argument');
    expect(error.message).toContain(
      `expected a batch size from 1 to 23 (the images in the split), got ${batchSize}. Lower train.batchSize`,
    );
  });

  it('refuses a batch past the end and a padding that does not fit', async () => {
    const loader = new BatchLoader(split, training);
    const past = await dataErrorOf(() => loader.batch(1, 4));
    expect(past.message).toContain('a batch number from 0 to 3, got 4');
    loader.dispose();
    const augmentation = { cropPadding: 3, horizontalFlip: false };
    const padding = await dataErrorOf(() => new BatchLoader(split, { ...training, augmentation }));
    expect(padding.message).toContain('a cropPadding from 0 to 2 for images of 4 x 3, got 3');
  });
});
