/** Crop and flip on the engine agree pixel by pixel with a slow crop and flip, and draws depend on their keys alone. */
import { liveTensorCount, scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, it } from 'vitest';
import {
  cropAndFlip,
  checkCrop,
  drawCropAndFlip,
  type CropAndFlipDraws,
  type CropAndFlipOptions,
} from './cropAndFlip.ts';
import { cyclicLabels, dataErrorOf, madeUpSplit } from '../testing.ts';

const shape = { channels: 3, height: 6, width: 5 };
const batch = 24;
const { images } = madeUpSplit(shape, cyclicLabels(batch, 2));
const indices = Int32Array.from({ length: batch }, (_, index) => index);

/** Crop of the zero-padded image, then mirror: one pixel at a time. */
function slowly(options: CropAndFlipOptions, draws: CropAndFlipDraws): number[] {
  const { channels, height, width } = shape;
  const result: number[] = [];
  for (let sample = 0; sample < batch; sample += 1) {
    for (let channel = 0; channel < channels; channel += 1) {
      for (let y = 0; y < height; y += 1) {
        const cropped: number[] = [];
        for (let x = 0; x < width; x += 1) {
          const sourceY = y + (draws.top[sample] ?? 0) - options.cropPadding;
          const sourceX = x + (draws.left[sample] ?? 0) - options.cropPadding;
          const outside = sourceY < 0 || sourceY >= height || sourceX < 0 || sourceX >= width;
          const position = ((sample * channels + channel) * height + sourceY) * width + sourceX;
          cropped.push(outside ? 0 : (images[position] ?? 0));
        }
        result.push(...(draws.flip[sample] === 1 ? cropped.reverse() : cropped));
      }
    }
  }
  return result;
}

describe('cropAndFlip', () => {
  it.each([
    { cropPadding: 2, horizontalFlip: true },
    { cropPadding: 4, horizontalFlip: false },
    { cropPadding: 0, horizontalFlip: true },
    { cropPadding: 0, horizontalFlip: false },
  ])('agrees with a slow crop and flip for %o', (options) => {
    const before = liveTensorCount();
    const draws = drawCropAndFlip(options, { seed: 3, epoch: 2, indices });
    for (const dtype of ['uint8', 'float32'] as const) {
      const result = scope(() => {
        const input = Tensor.fromTypedArray(images, [batch, 3, 6, 5]).to(dtype);
        const output = cropAndFlip(input, options, draws);
        expect(output.dtype).toBe(dtype);
        expect(output.shape).toEqual([batch, 3, 6, 5]);
        return output.toNumbers();
      });
      expect(result).toEqual(slowly(options, draws));
    }
    expect(liveTensorCount()).toBe(before);
  });

  it('refuses draws for another batch', async () => {
    const options = { cropPadding: 1, horizontalFlip: true };
    const draws = drawCropAndFlip(options, { seed: 3, epoch: 2, indices: indices.subarray(0, 4) });
    const error = await dataErrorOf(() =>
      scope(() => cropAndFlip(Tensor.fromTypedArray(images, [batch, 3, 6, 5]), options, draws)),
    );
    expect(error.message).toContain('expected images [4, C, H, W], one for each draw, got [24, 3, 6, 5]');
  });
});

describe('drawCropAndFlip', () => {
  const options = { cropPadding: 2, horizontalFlip: true };

  it('draws the same for a sample wherever it stands in whatever batch', () => {
    const inOrder = drawCropAndFlip(options, { seed: 1, epoch: 4, indices });
    const picked = Int32Array.of(17, 3, 9);
    const alone = drawCropAndFlip(options, { seed: 1, epoch: 4, indices: picked });
    for (const part of ['top', 'left', 'flip'] as const) {
      expect(Array.from(alone[part])).toEqual(Array.from(picked, (index) => inOrder[part][index]));
    }
  });

  it('draws anew for another epoch and another seed', () => {
    const first = drawCropAndFlip(options, { seed: 1, epoch: 4, indices });
    expect(drawCropAndFlip(options, { seed: 1, epoch: 4, indices })).toEqual(first);
    expect(drawCropAndFlip(options, { seed: 1, epoch: 5, indices })).not.toEqual(first);
    expect(drawCropAndFlip(options, { seed: 2, epoch: 4, indices })).not.toEqual(first);
  });

  it('draws every place and both sides about equally often', () => {
    const many = Int32Array.from({ length: 20_000 }, (_, index) => index);
    const draws = drawCropAndFlip(options, { seed: 1, epoch: 1, indices: many });
    const places = new Map<string, number>();
    for (const row of many) {
      const place = `${draws.top[row] ?? -1} ${draws.left[row] ?? -1} ${draws.flip[row] ?? -1}`;
      places.set(place, (places.get(place) ?? 0) + 1);
    }
    // 5 x 5 x 2 outcomes of 400 each; five standard deviations are 100.
    expect(places.size).toBe(50);
    for (const count of places.values()) expect(Math.abs(count - 400)).toBeLessThan(100);
  });

  it('is pinned, so that runs stay comparable between releases', () => {
    const draws = drawCropAndFlip(options, { seed: 1, epoch: 1, indices: indices.subarray(0, 6) });
    expect([draws.top, draws.left, draws.flip].map((part) => Array.from(part))).toMatchInlineSnapshot(`
      [
        [
          1,
          2,
          4,
          3,
          4,
          0,
        ],
        [
          4,
          0,
          2,
          0,
          1,
          4,
        ],
        [
          0,
          1,
          1,
          1,
          1,
          1,
        ],
      ]
    `);
  });
});

describe('checkCrop', () => {
  it.each([-1, 1.5, 5, NaN])('refuses a padding of %d', async (cropPadding) => {
    const error = await dataErrorOf(() => {
      checkCrop({ cropPadding, horizontalFlip: false }, shape);
    });
    expect(error.message).toContain(
      `expected a cropPadding from 0 to 4 for images of 6 x 5, got ${cropPadding}`,
    );
  });
});
