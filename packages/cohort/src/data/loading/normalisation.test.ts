/** Channel statistics agree with the plain two-pass formula, and the engine applies them. */
import { liveTensorCount, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { channelStatistics } from './normalisation.ts';
import { BatchNormaliser } from './normaliseBatch.ts';
import { cyclicLabels, dataErrorOf, madeUpSplit } from '../testing.ts';

const shape = { channels: 3, height: 5, width: 4 };
const split = madeUpSplit(shape, cyclicLabels(11, 2));

/** Pixels of a channel, scaled to 0 to 1. */
function channelPixels(channel: number): number[] {
  return Array.from(split.images)
    .filter((_, index) => Math.floor(index / 20) % 3 === channel)
    .map((value) => value / 255);
}

describe('channelStatistics', () => {
  it('is the mean and population deviation of every channel', () => {
    const { mean, std } = channelStatistics(split, shape);
    expect(mean).toHaveLength(3);
    for (let channel = 0; channel < 3; channel += 1) {
      const pixels = channelPixels(channel);
      const center = pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
      const variance = pixels.reduce((sum, value) => sum + (value - center) ** 2, 0) / pixels.length;
      expect(mean[channel]).toBeCloseTo(center, 10);
      expect(std[channel]).toBeCloseTo(Math.sqrt(variance), 10);
    }
  });

  it('gives a constant channel a deviation of one', () => {
    const flat = { images: new Uint8Array(20).fill(51), labels: Uint8Array.of(0), count: 1 };
    const { mean, std } = channelStatistics(flat, { ...shape, channels: 1 });
    expect(mean[0]).toBeCloseTo(0.2, 12);
    expect(std).toEqual([1]);
  });

  it('refuses a split of another shape', async () => {
    const error = await dataErrorOf(() => channelStatistics(split, { ...shape, width: 5 }));
    expect(error.kind).toBe('argument');
    expect(error.message).toContain('images of 3 x 5 x 5, got 660 bytes for 11 images');
  });
});

describe('BatchNormaliser', () => {
  it('makes channels of zero mean and unit deviation, and leaks nothing', () => {
    const before = liveTensorCount();
    const normalisation = channelStatistics(split, shape);
    const normaliser = new BatchNormaliser(normalisation);
    const values = scope(() => {
      const images = normaliser.apply(Tensor.fromTypedArray(split.images, [11, 3, 5, 4]));
      expect(images.dtype).toBe('float32');
      expect(images.shape).toEqual([11, 3, 5, 4]);
      return images.toNumbers();
    });
    for (const [index, value] of values.entries()) {
      const channel = Math.floor(index / 20) % 3;
      const raw = (split.images[index] ?? 0) / 255;
      const expected = (raw - (normalisation.mean[channel] ?? 0)) / (normalisation.std[channel] ?? 1);
      expect(value).toBeCloseTo(expected, 4);
    }
    normaliser.dispose();
    expect(liveTensorCount()).toBe(before);
  });

  it('refuses statistics that would make infinities, and images of other channels', async () => {
    const zero = await dataErrorOf(() => new BatchNormaliser({ mean: [0.5], std: [0] }));
    expect(zero.message).toContain(
      'one positive standard deviation for every channel, got mean [0.5], std [0]',
    );
    const normaliser = new BatchNormaliser({ mean: [0.5], std: [1] });
    const wrong = await dataErrorOf(() =>
      scope(() => normaliser.apply(Tensor.fromTypedArray(split.images, [11, 3, 5, 4]))),
    );
    expect(wrong.message).toContain('expected images [B, 1, H, W], got [11, 3, 5, 4]');
    normaliser.dispose();
  });
});
