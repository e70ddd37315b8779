/** The whole of augmentation on colour and grey batches: samples are independent, bytes stay bytes, and bad settings are refused. */
import { liveTensorCount, ops, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import type { ImageShape } from '../dataset.ts';
import { cyclicLabels, dataErrorOf, madeUpSplit } from '../testing.ts';
import { Augmenter } from './augmenter.ts';
import { emptyBoxes } from './boxes.ts';
import { erase } from './erasing.ts';
import { mixImages } from './mixing.ts';
import { randAugmentOperations } from './randAugment.ts';
import type { AugmentationOptions } from './settings.ts';

const batch = 24;
const everything: AugmentationOptions = {
  resizedCrop: { scale: [0.3, 1] },
  horizontalFlip: true,
  randAugment: { operations: 3, magnitude: 15 },
  colourJitter: {},
  greyscale: { probability: 0.5 },
  blur: { sigma: [0.2, 1.5], probability: 0.7 },
  erasing: { probability: 0.7, fill: 'noise' },
};
const normalisation = (channels: number): { mean: number[]; std: number[] } => ({
  mean: Array.from({ length: channels }, (_, channel) => 0.2 + 0.1 * channel),
  std: Array.from({ length: channels }, () => 0.25),
});

function augmenterOf(options: AugmentationOptions, shape: ImageShape): Augmenter {
  return new Augmenter(options, shape, normalisation(shape.channels));
}

function vary(
  options: AugmentationOptions,
  shape: ImageShape,
  indices: Int32Array,
  dtype: 'uint8' | 'float32',
) {
  const { images } = madeUpSplit(shape, cyclicLabels(batch, 2));
  return scope(() => {
    const all = Tensor.fromTypedArray(images, [batch, shape.channels, shape.height, shape.width]);
    const input = all.indexSelect(0, Tensor.fromTypedArray(indices).to('int64')).to(dtype);
    const before = input.toNumbers();
    const output = augmenterOf(options, shape).vary(input, { seed: 4, epoch: 1, indices });
    expect(output.dtype).toBe(dtype);
    expect(output.shape).toEqual(input.shape);
    expect(output.requiresGrad).toBe(false);
    // What goes in stays as it was: it belongs to the loader.
    expect(input.toNumbers()).toEqual(before);
    return output.toNumbers();
  });
}

describe.each([
  { channels: 3, height: 10, width: 12 },
  { channels: 1, height: 12, width: 10 },
  { channels: 2, height: 7, width: 7 },
  { channels: 3, height: 1, width: 2 },
])('Augmenter on images of $channels x $height x $width', (shape) => {
  const indices = Int32Array.from({ length: batch }, (_, index) => index);
  const size = shape.channels * shape.height * shape.width;

  it.each(Object.keys(everything) as (keyof AugmentationOptions)[])(
    '%s makes the same of a sample in any batch',
    (name) => {
      const before = liveTensorCount();
      const options = { [name]: everything[name] };
      const together = vary(options, shape, indices, 'uint8');
      const picked = Int32Array.of(20, 3, 11);
      const apart = vary(options, shape, picked, 'uint8');
      for (const [row, index] of picked.entries()) {
        expect(apart.slice(row * size, (row + 1) * size)).toEqual(
          together.slice(index * size, (index + 1) * size),
        );
      }
      expect(liveTensorCount()).toBe(before);
    },
  );

  it('makes the same of bytes and of floats, in the range of bytes', () => {
    const options = { ...everything, resizedCrop: null };
    const bytes = vary(options, shape, indices, 'uint8');
    expect(vary(options, shape, indices, 'float32')).toEqual(bytes);
    expect(bytes).not.toEqual(vary({}, shape, indices, 'uint8'));
    const floats = vary(everything, shape, indices, 'float32');
    expect(Math.min(...floats)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...floats)).toBeLessThanOrEqual(255);
  });
});

describe('RandAugment', () => {
  const shape = { channels: 3, height: 16, width: 16 };
  const { images } = madeUpSplit(shape, [0, 1]);

  it.each(Object.entries(randAugmentOperations))('%s does what M says, both ways', (name, operation) => {
    scope(() => {
      const samples = Tensor.fromTypedArray(images, [2, 3, 16, 16]);
      const [still, one, other] = [0, 0.5, 0.5].map((strength, place) =>
        operation(samples, strength, place === 2 ? [-1, -1] : [1, 1]).toNumbers(),
      );
      const alwaysChanges = ['autoContrast', 'equalise'].includes(name);
      const neverChanges = name === 'identity';
      const isOneWay = alwaysChanges || neverChanges || ['posterise', 'solarise'].includes(name);
      const original = samples.toNumbers();
      // torchvision's solarise of strength 0 inverts what is 255 alone.
      if (!alwaysChanges && name !== 'solarise') expect(still).toEqual(original);
      if (!neverChanges && name !== 'autoContrast') expect(one).not.toEqual(original);
      if (isOneWay) expect(other).toEqual(one);
      else expect(other).not.toEqual(one);
    });
  });
});

describe('erase', () => {
  const boxes = emptyBoxes(3);
  boxes.top.set([1, 0, 0]);
  boxes.left.set([2, 0, 0]);
  boxes.height.set([2, 0, 3]);
  boxes.width.set([1, 3, 4]);
  const erased = (fill: readonly number[] | 'noise'): number[][] =>
    scope(() => {
      const images = ops.full([3, 2, 3, 4], 9, { dtype: 'uint8' });
      const output = erase(images, { boxes, noise: Uint32Array.of(1, 2, 3) }, fill);
      expect(output.dtype).toBe('uint8');
      return [0, 1, 2].map((row) => output.select(0, row).toNumbers());
    });

  it('fills the box of each sample, channel by channel, and nothing else', () => {
    const [first, second, third] = erased([100, 200]);
    const channel = (fill: number): number[] => [9, 9, 9, 9, 9, 9, fill, 9, 9, 9, fill, 9];
    expect(first).toEqual([...channel(100), ...channel(200)]);
    expect(second).toEqual(new Array(24).fill(9));
    expect(third).toEqual([...new Array<number>(12).fill(100), ...new Array<number>(12).fill(200)]);
  });

  it('fills with noise that differs from pixel to pixel and covers all bytes evenly', () => {
    expect(new Set(erased('noise')[2]).size).toBeGreaterThan(18);
    const all = scope(() => {
      const whole = emptyBoxes(1);
      whole.height[0] = 100;
      whole.width[0] = 256;
      const noise = Uint32Array.of(77);
      return erase(
        ops.zeros([1, 1, 100, 256], { dtype: 'uint8' }),
        { boxes: whole, noise },
        'noise',
      ).toNumbers();
    });
    const counts = new Array<number>(256).fill(0);
    for (const value of all) counts[value] = (counts[value] ?? 0) + 1;
    // 100 of each; six standard deviations are 60.
    for (const found of counts) expect(Math.abs(found - 100)).toBeLessThan(60);
    // A neighbour says nothing: the correlation is within five deviations of 1/sqrt(n).
    const products = all
      .slice(1)
      .reduce((sum, value, at) => sum + (value - 127.5) * ((all[at] ?? 0) - 127.5), 0);
    expect(Math.abs(products / all.length / 5461.25)).toBeLessThan(5 / Math.sqrt(all.length));
  });

  it('takes the mean colour of the training images', () => {
    const shape = { channels: 3, height: 4, width: 4 };
    const indices = Int32Array.of(0);
    const options = { erasing: { probability: 1, scale: [1, 1], ratio: [1, 1], fill: 'mean' } } as const;
    const output = scope(() =>
      augmenterOf({ erasing: { ...options.erasing, scale: [1, 1], ratio: [1, 1] } }, shape)
        .vary(ops.zeros([1, 3, 4, 4], { dtype: 'uint8' }), { seed: 1, epoch: 1, indices })
        .toNumbers(),
    );
    // Means 0.2, 0.3 and 0.4 of 255.
    expect([output[0], output[16], output[32]]).toEqual([51, 77, 102]);
  });
});

describe('mixing', () => {
  it('weighs images and cuts boxes as drawn, and leaves a share of 1 exactly as it was', () => {
    const boxes = emptyBoxes(3);
    boxes.top[1] = 1;
    boxes.height[1] = 1;
    boxes.width[1] = 2;
    const mixed = scope(() => {
      const images = Tensor.fromTypedArray(
        Float32Array.of(0.1, 0.1, 0.1, 0.1, 2, 2, 2, 2, 5.3, 5.3, 5.3, 5.3),
        [3, 1, 2, 2],
      );
      const draws = {
        partners: Int32Array.of(1, 2, 0),
        pixelShares: Float32Array.of(0.25, 1, 1),
        weights: Float32Array.of(0.25, 0.5, 1),
        boxes,
      };
      return mixImages(images, draws).toNumbers();
    });
    expect(mixed.slice(0, 4)).toEqual(new Array(4).fill(Math.fround(0.25 * Math.fround(0.1) + 1.5)));
    expect(mixed.slice(4, 8)).toEqual([2, 2, Math.fround(5.3), Math.fround(5.3)]);
    expect(mixed.slice(8)).toEqual(new Array(4).fill(Math.fround(5.3)));
  });

  it('mixes every view alike and says whose labels they are', () => {
    const shape = { channels: 1, height: 4, width: 4 };
    const indices = Int32Array.of(4, 9, 2, 7);
    scope(() => {
      const first = ops.rand([4, 1, 4, 4]);
      const labels = Tensor.fromTypedArray(BigInt64Array.of(10n, 11n, 12n, 13n));
      const augmenter = augmenterOf({ mixup: { alpha: 1 } }, shape);
      const { views, mix } = augmenter.mix([first, first.add(1)], labels, { seed: 1, epoch: 1, indices });
      const difference = views[1]?.sub(views[0] ?? first);
      expect(difference?.sub(1).abs().max().item()).toBeLessThan(1e-6);
      expect(mix.labels.dtype).toBe('int64');
      const partners = mix.labels.toNumbers().map((label) => label - 10);
      const weights = mix.weight.toNumbers();
      for (const [row, partner] of partners.entries()) {
        const weight = weights[row] ?? NaN;
        const expected = first
          .select(0, row)
          .mul(weight)
          .add(first.select(0, partner).mul(1 - weight));
        expect(views[0]?.select(0, row).sub(expected).abs().max().item()).toBeLessThan(1e-6);
      }
    });
  });
});

describe('settings', () => {
  const shape = { channels: 3, height: 8, width: 8 };
  it.each<[AugmentationOptions, string]>([
    [{ cropPadding: 8 }, 'a cropPadding from 0 to 7 for images of 8 x 8, got 8'],
    [{ cropPadding: 1, resizedCrop: {} }, 'cropPadding: expected 0 with resizedCrop'],
    [
      { erasing: { scale: [0.5, 0.2] } },
      'erasing.scale: expected the smaller value first, got 0.5, then 0.2',
    ],
    [{ erasing: { scale: [0.5, 1.2] } }, 'erasing.scale.1'],
    [{ mixup: { alpha: 0 } }, 'mixup.alpha'],
    [{ mixup: {}, cutmix: {} }, 'cutmix.probability: expected at most 1 - mixup.probability (0)'],
    [{ randAugment: { magnitude: 31 } }, 'randAugment.magnitude'],
    [{ colourJitter: { hue: 0.6 } }, 'colourJitter.hue'],
  ])('refuses %o', async (options, message) => {
    const error = await dataErrorOf(() => augmenterOf(options, shape));
    expect(error.kind).toBe('argument');
    expect(error.message).toContain(message);
    expect(error.message).toContain('Change data.augmentation');
  });
});
