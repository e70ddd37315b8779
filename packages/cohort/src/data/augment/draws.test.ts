/** Every draw of augmentation depends on (seed, epoch, index) alone and follows the distribution that its setting names. */
import { describe, expect, it } from 'vitest';
import { betaDraw } from './beta.ts';
import { drawBoxes } from './boxes.ts';
import { drawColourJitter } from './colourJitter.ts';
import { SampleDraws, viewKeys, type DrawKeys } from './draws.ts';
import { drawErasing } from './erasing.ts';
import { drawMixing } from './mixing.ts';
import { drawRandAugment, randAugmentOperations } from './randAugment.ts';
import { drawResizedCrop } from './resizedCrop.ts';
import { augmentationSettings } from './settings.ts';

const shape = { channels: 3, height: 24, width: 32 };
const count = 20_000;
const many: DrawKeys = {
  seed: 1,
  epoch: 2,
  indices: Int32Array.from({ length: count }, (_, index) => index),
};
const settings = augmentationSettings.parse({
  resizedCrop: {},
  randAugment: {},
  colourJitter: { probability: 0.5 },
  erasing: { probability: 0.25 },
  mixup: { alpha: 0.4, probability: 0.3 },
  cutmix: { alpha: 1, probability: 0.5 },
});
const { resizedCrop, randAugment, colourJitter, erasing } = settings;
if (resizedCrop === null || randAugment === null || colourJitter === null || erasing === null) {
  throw new Error('expected every section to be on');
}

const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
const share = (values: ArrayLike<number>, test: (value: number) => boolean): number =>
  mean(Array.from(values, (value) => (test(value) ? 1 : 0)));

/** All that is drawn for a sample, as lists of one entry a sample. Partners are of the batch and left out. */
function everything(keys: DrawKeys): ArrayLike<number>[] {
  const crop = drawResizedCrop(resizedCrop ?? never(), shape, keys);
  const rand = drawRandAugment(randAugment ?? never(), keys);
  const jitter = drawColourJitter(colourJitter ?? never(), keys);
  const erased = drawErasing(erasing ?? never(), shape, keys);
  const { boxes, pixelShares, weights } = drawMixing(settings, shape, keys);
  return [
    ...Object.values<Int32Array>({ ...crop }),
    ...rand.operations,
    ...rand.negative,
    ...jitter.order,
    ...jitter.factors,
    ...Object.values<Int32Array>({ ...erased.boxes }),
    erased.noise,
    ...Object.values<Int32Array>({ ...boxes }),
    pixelShares,
    weights,
  ];
}

function never(): never {
  throw new Error('expected the section to be on');
}

describe('draws', () => {
  it('are the same for a sample wherever it stands in whatever batch', () => {
    const picked = Int32Array.of(17, 3, 1999);
    const whole = everything({ ...many, indices: many.indices.subarray(0, 2000) });
    const alone = everything({ ...many, indices: picked });
    for (const [place, values] of alone.entries()) {
      expect(Array.from(values)).toEqual(Array.from(picked, (index) => whole[place]?.[index]));
    }
  });

  it('are new for another epoch, seed and view; the first view draws as a single one does', () => {
    const keys = { ...many, indices: many.indices.subarray(0, 50) };
    const first = everything(keys);
    expect(everything({ ...keys })).toEqual(first);
    expect(everything(viewKeys(keys, 0))).toEqual(first);
    const others = [{ ...keys, epoch: 3 }, { ...keys, seed: 2 }, viewKeys(keys, 1), viewKeys(keys, 2)];
    const weights = others.map((other) => everything(other).at(-1));
    for (const [place, values] of weights.entries()) {
      expect(values).not.toEqual(first.at(-1));
      for (const later of weights.slice(place + 1)) expect(values).not.toEqual(later);
    }
  });

  it('of one sample follow each other without repeating', () => {
    const draws = new SampleDraws(1, { ...many, indices: Int32Array.of(5) });
    const drawn = Array.from({ length: 1000 }, () => draws.bits()[0]);
    expect(new Set(drawn).size).toBe(1000);
  });
});

describe('drawBoxes', () => {
  it('stays inside the image, with areas and ratios as asked', () => {
    const options = { scale: [0.1, 0.5], ratio: [0.5, 2] } as const;
    const boxes = drawBoxes(options, shape, new SampleDraws(1, many));
    const areas: number[] = [];
    for (const [row, height] of boxes.height.entries()) {
      const width = boxes.width[row] ?? 0;
      expect(height).toBeGreaterThan(0);
      expect((boxes.top[row] ?? 0) + height).toBeLessThanOrEqual(24);
      expect((boxes.left[row] ?? 0) + width).toBeLessThanOrEqual(32);
      areas.push((height * width) / (24 * 32));
    }
    expect(Math.min(...areas)).toBeGreaterThan(0.08);
    expect(Math.max(...areas)).toBeLessThan(0.53);
    // A little below the middle, since large upright ones do not fit and are drawn anew.
    expect(mean(areas)).toBeGreaterThan(0.27);
    expect(mean(areas)).toBeLessThan(0.31);
    expect(Math.min(...boxes.top, ...boxes.left)).toBe(0);
  });

  it('gives none where none fits, and the crop then takes the middle', () => {
    const options = { scale: [1, 1], ratio: [3, 3] } as const;
    const keys = { ...many, indices: Int32Array.of(0, 1) };
    expect(drawBoxes(options, shape, new SampleDraws(1, keys)).height).toEqual(Int32Array.of(0, 0));
    const crop = drawResizedCrop({ scale: [1, 1], ratio: [3, 3] }, shape, keys);
    expect([crop.top[1], crop.left[1], crop.height[1], crop.width[1]]).toEqual([6, 0, 11, 32]);
  });
});

describe('drawRandAugment and drawColourJitter', () => {
  it('chooses all operations and both directions about equally often', () => {
    const { operations, negative } = drawRandAugment(randAugment, many);
    expect(operations).toHaveLength(2);
    const counts = new Array<number>(14).fill(0);
    for (const operation of operations[1] ?? []) counts[operation] = (counts[operation] ?? 0) + 1;
    expect(Object.keys(randAugmentOperations)).toHaveLength(14);
    // 1,429 of each; five standard deviations are 182.
    for (const found of counts) expect(Math.abs(found - count / 14)).toBeLessThan(182);
    expect(Math.abs(mean(negative[0] ?? []) - 0.5)).toBeLessThan(0.02);
  });

  it('draws factors around 1 and every order', () => {
    const { factors, order } = drawColourJitter(colourJitter, many);
    const [brightness = [], , , hue = []] = factors.map((values) => Array.from(values));
    expect(Math.min(...brightness)).toBeGreaterThanOrEqual(0.6);
    expect(Math.max(...brightness)).toBeLessThan(1.4);
    expect(Math.abs(mean(brightness) - 1)).toBeLessThan(0.01);
    expect(Math.min(...hue)).toBeGreaterThanOrEqual(-0.1);
    expect(Math.max(...hue)).toBeLessThan(0.1);
    const orders = new Map<string, number>();
    for (let row = 0; row < count; row += 1) {
      const text = order.map((atPlace) => atPlace[row]).join(' ');
      orders.set(text, (orders.get(text) ?? 0) + 1);
    }
    expect(orders.size).toBe(25);
    expect(Math.abs((orders.get('-1 -1 -1 -1') ?? 0) / count - 0.5)).toBeLessThan(0.02);
    for (const found of orders.values()) expect(found).toBeGreaterThan(300);
  });

  it('leaves out adjustments of strength 0, and never darkens below black', () => {
    const only = { brightness: 3, contrast: 0, saturation: 0, hue: 0, probability: 1 };
    const { factors, order } = drawColourJitter(only, many);
    expect(new Set(order.flatMap((atPlace) => Array.from(atPlace)))).toEqual(new Set([-1, 0]));
    expect(Math.min(...(factors[0] ?? []))).toBeGreaterThanOrEqual(0);
    expect(Math.max(...(factors[0] ?? []))).toBeGreaterThan(3.9);
  });
});

describe('drawErasing and drawMixing', () => {
  it('erases as often as asked', () => {
    const { boxes } = drawErasing(erasing, shape, many);
    expect(Math.abs(share(boxes.height, (height) => height > 0) - 0.25)).toBeLessThan(0.015);
  });

  it('mixes as often as asked, each sample in one way, with shares of the Beta distribution', () => {
    const { boxes, pixelShares, weights } = drawMixing(settings, shape, many);
    const mixed = Array.from(pixelShares).filter((value) => value < 1);
    expect(Math.abs(mixed.length / count - 0.3)).toBeLessThan(0.02);
    expect(Math.abs(mean(mixed) - 0.5)).toBeLessThan(0.02);
    for (const [row, height] of boxes.height.entries()) {
      if (height === 0) expect(weights[row]).toBe(pixelShares[row]);
      else expect(weights[row]).toBeCloseTo(1 - (height * (boxes.width[row] ?? 0)) / (24 * 32), 6);
    }
    const cut = share(boxes.height, (height) => height > 0);
    // Boxes thinner than a pixel are empty.
    expect(cut).toBeGreaterThan(0.47);
    expect(cut).toBeLessThan(0.51);
  });

  it('gives everybody a partner, once, and the same in another order of the batch', () => {
    const indices = many.indices.subarray(100, 116);
    const { partners } = drawMixing(settings, shape, { ...many, indices });
    expect(new Set(partners).size).toBe(16);
    for (const [row, partner] of partners.entries()) expect(partner).not.toBe(row);
    const reversed = drawMixing(settings, shape, { ...many, indices: indices.toReversed() }).partners;
    const images = Array.from(partners, (partner) => indices[partner]);
    expect(Array.from(reversed, (partner) => indices[15 - partner]).reverse()).toEqual(images);
    expect(drawMixing(settings, shape, { ...many, indices: Int32Array.of(7) }).partners).toEqual(
      Int32Array.of(0),
    );
  });

  it.each([
    [0.001, 0.249],
    [0.2, 0.178],
    [1, 1 / 12],
    [8, 1 / 68],
    [1000, 1 / 8004],
  ])('draws from Beta(%d, %d) with its variance', (alpha, variance) => {
    const drawn = Float64Array.from({ length: count }, (_, key) => betaDraw(alpha, key));
    const center = mean(drawn);
    expect(Math.abs(center - 0.5)).toBeLessThan(0.02);
    const spread = mean(drawn.map((value) => (value - center) ** 2));
    expect(Math.abs(spread / variance - 1)).toBeLessThan(0.04);
    expect(share(drawn, (value) => value >= 0 && value <= 1)).toBe(1);
  });
});
