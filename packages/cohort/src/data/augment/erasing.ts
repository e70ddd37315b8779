/** Random erasing (Zhong et al., arXiv 1708.04896): a rectangle of an image gives way to one colour, or to noise. */
import { ops, scope, Tensor } from '@cohort-ml/torch';
import type { ImageShape } from '../dataset.ts';
import { hashKeys, RANDOM_PURPOSE } from '../loading/random.ts';
import { drawBoxes, insideBoxes, type Boxes } from './boxes.ts';
import { SampleDraws, type DrawKeys } from './draws.ts';
import type { ErasingSettings } from './settings.ts';

/** What was drawn for the samples of a batch. */
export interface ErasingDraws {
  /** Empty where nothing is erased. */
  readonly boxes: Boxes;
  /** Keys of every sample's noise. */
  readonly noise: Uint32Array;
}

/** Draws whether and where an image is erased; as in torchvision nothing is where ten attempts stand out of the image. */
export function drawErasing(settings: ErasingSettings, shape: ImageShape, keys: DrawKeys): ErasingDraws {
  const draws = new SampleDraws(RANDOM_PURPOSE.erasing, keys);
  const chosen = draws.uniform();
  const noise = draws.bits();
  const boxes = drawBoxes(settings, shape, draws);
  for (const [row, value] of chosen.entries()) {
    if (value >= settings.probability) boxes.height[row] = 0;
  }
  return { boxes, noise };
}

/**
 * Erases as drawn: raw `[B, C, H, W]` to the same.
 *
 * @param fill the bytes of every channel, or `noise`
 */
export function erase(images: Tensor, draws: ErasingDraws, fill: readonly number[] | 'noise'): Tensor {
  const [, channels = 0, height = 0, width = 0] = images.shape;
  return scope(() => {
    const inside = insideBoxes(draws.boxes, height, width);
    const filling =
      fill === 'noise'
        ? noiseBytes(draws.noise, channels, height, width)
        : Tensor.fromTypedArray(Float32Array.from(fill), [1, channels, 1, 1]);
    return ops.where(inside, filling.to(images.dtype), images);
  });
}

/** Random bytes by each sample's key alone, `[B, C, H, W]`: MurmurHash3's finaliser of the place, as `fmix32` in random.ts. */
function noiseBytes(keys: Uint32Array, channels: number, height: number, width: number): Tensor {
  const size = channels * height * width;
  const starts = BigInt64Array.from(keys, (key) => BigInt(hashKeys(key)));
  const lowBits = (values: Tensor): Tensor => values.bitwiseAnd(0xffffffff);
  const mixed = (values: Tensor, shift: number): Tensor =>
    values.bitwiseXor(values.bitwiseRightShift(ops.full([], shift, { dtype: 'int64' })));
  const places = ops.arange(size, { dtype: 'int64' }).view([1, size]);
  const sums = lowBits(places.add(Tensor.fromTypedArray(starts, [keys.length, 1])));
  // Factors below 2^31, so that no product leaves 63 bits.
  const once = mixed(lowBits(mixed(sums, 16).mul(0x45ebca6b)), 13);
  const twice = mixed(lowBits(once.mul(0x42b2ae35)), 16);
  return twice.bitwiseAnd(0xff).to('uint8').view([keys.length, channels, height, width]);
}
