/** Greyscale and blur, as self-supervised methods vary their views: values, shares, and images that they leave alone. */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import { blur, drawBlur } from './blur.ts';
import { drawGreyscale, greyscale } from './greyscale.ts';

const keys = (count: number) => ({
  seed: 3,
  epoch: 2,
  indices: Int32Array.from({ length: count }, (_, index) => index),
});
const none = Int32Array.of(-1);
const first = Int32Array.of(0);

describe('greyscale', () => {
  it('puts the luminance (ITU-R 601-2) into all channels, of the chosen images alone', () => {
    const pixel = [200, 100, 50];
    const images = Tensor.fromTypedArray(Uint8Array.from([...pixel, ...pixel]), [2, 3, 1, 1]);
    const result = scope(() => greyscale(images, Int32Array.of(0, -1)).toNumbers());
    expect(result).toEqual([124, 124, 124, ...pixel]); // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
  });

  it('leaves images of one channel as they are', () => {
    const images = Tensor.fromTypedArray(Uint8Array.of(7, 9), [1, 1, 1, 2]);
    expect(greyscale(images, first)).toBe(images);
  });

  it('chooses about as many images as it is to', () => {
    const chosen = drawGreyscale({ probability: 0.2 }, keys(5000)).filter((group) => group === 0);
    expect(chosen.length / 5000).toBeCloseTo(0.2, 1);
  });
});

describe('blur', () => {
  const side = 9;
  const dot = (): Tensor => {
    const pixels = new Uint8Array(side * side);
    pixels[4 * side + 4] = 255;
    return Tensor.fromTypedArray(pixels, [1, 1, side, side]);
  };

  it('spreads a dot by the Gaussian of its deviation, alike to all sides', () => {
    const result = scope(() => blur(dot(), { groups: first, sigmas: Float64Array.of(1) }).toNumbers());
    const weights = [-3, -2, -1, 0, 1, 2, 3].map((x) => Math.exp(-(x * x) / 2));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const at = (down: number, across: number): number =>
      Math.floor((255 * (weights[3 + down] ?? 0) * (weights[3 + across] ?? 0)) / total ** 2 + 0.5);
    for (const [down, across] of [
      [0, 0],
      [1, 0],
      [0, -1],
      [2, 1],
      [-3, 0],
      [3, 3],
    ] as const) {
      expect(result[(4 + down) * side + 4 + across], `${down}, ${across}`).toBe(at(down, across));
    }
    expect(result[0]).toBe(0);
  });

  it('keeps an even image as it is, up to its edges', () => {
    const grey = ops.full([1, 3, 5, 4], 77, { dtype: 'uint8' });
    const result = scope(() => blur(grey, { groups: first, sigmas: Float64Array.of(2) }).toNumbers());
    expect(new Set(result)).toEqual(new Set([77]));
  });

  it('leaves images alone that were not chosen', () => {
    const result = scope(() => blur(dot(), { groups: none, sigmas: Float64Array.of(1) }).toNumbers());
    expect(result).toEqual(dot().toNumbers());
  });

  it('draws deviations between the two given, for about half of the images', () => {
    const { groups, sigmas } = drawBlur({ sigma: [0.1, 2], probability: 0.5 }, keys(4000));
    expect(groups.filter((group) => group === 0).length / 4000).toBeCloseTo(0.5, 1);
    expect(Math.min(...sigmas)).toBeGreaterThanOrEqual(0.1);
    expect(Math.max(...sigmas)).toBeLessThan(2);
    expect(sigmas.reduce((sum, sigma) => sum + sigma, 0) / 4000).toBeCloseTo(1.05, 1);
  });
});
