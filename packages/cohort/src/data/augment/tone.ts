/** Posterise, solarise, auto-contrast and equalise for whole batches: functions from bytes to bytes, as in Pillow's `ImageOps`. */
import { ArgumentError, ops, scope, Tensor } from '@cohort-ml/torch';
import { perSample } from './draws.ts';
import { assertImages, assertNumberPerImage, toBytes } from './pixels.ts';

/**
 * Keeps the highest bits of every byte (`ImageOps.posterize`).
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @param bits B numbers of bits, one per sample, 0 to 8; 8 keeps the image
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images, another number of values, or bits that are not whole numbers from 0 to 8
 */
export function posterise(images: Tensor, bits: ArrayLike<number>): Tensor {
  assertNumberPerImage('posterise', images, bits.length);
  const wrong = Array.from(bits).find((count) => !Number.isInteger(count) || count < 0 || count > 8);
  if (wrong !== undefined) {
    throw new ArgumentError('posterise', `expected whole numbers of bits from 0 to 8, got ${wrong}.`);
  }
  const masks = Uint8Array.from(bits, (count) => 0xff << (8 - count));
  return scope(() => images.bitwiseAnd(Tensor.fromTypedArray(masks, [masks.length, 1, 1, 1])));
}

/**
 * Inverts every byte that is not below the sample's threshold (`ImageOps.solarize`).
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @param thresholds B thresholds, one per sample, in levels; 256 keeps the image
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images, or another number of thresholds
 */
export function solarise(images: Tensor, thresholds: ArrayLike<number>): Tensor {
  assertNumberPerImage('solarise', images, thresholds.length);
  return scope(() => ops.where(images.lt(perSample(thresholds)), images, images.bitwiseNot()));
}

/**
 * Stretches every channel of every image to the full range; a channel with a single value stays (`ImageOps.autocontrast`).
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images
 */
export function autoContrast(images: Tensor): Tensor {
  assertImages('autoContrast', images);
  return scope(() => {
    // In float64, as Python computes: the fractions are dropped, and a rounding error would show.
    const values = images.to('float64');
    const lowest = values.amin([2, 3], true); // [B, C, 1, 1]
    const range = values.amax([2, 3], true).sub(lowest);
    const factor = ops.full([], 255, { dtype: 'float64' }).div(range.clampMin(1));
    const stretched = toBytes(values.mul(factor).add(lowest.neg().mul(factor)));
    return ops.where(range.gt(0), stretched, images);
  });
}

/**
 * Makes the values of every channel about equally frequent; a channel with too few pixels besides those of its highest value
 * stays (`ImageOps.equalize`).
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images
 */
export function equalise(images: Tensor): Tensor {
  assertImages('equalise', images);
  const [batch = 0, channels = 0, height = 0, width = 0] = images.shape;
  return scope(() => {
    const pixels = images.reshape([batch * channels, height * width]).to('int64');
    const counts = ops
      .zeros([batch * channels, 256], { dtype: 'int64' })
      .scatterAdd(1, pixels, ops.onesLike(pixels)); // [B C, 256]
    const ofHighest = counts.gather(1, pixels.amax([1], true)); // [B C, 1]
    const step = ofHighest
      .neg()
      .add(height * width)
      .floorDivide(255);
    const divisor = step.clampMin(1);
    const below = counts.cumsum(1).sub(counts);
    const table = below.add(step.floorDivide(2)).floorDivide(divisor).clamp(0, 255);
    const levels = table.gather(1, pixels).to('uint8');
    return ops.where(step.gt(0), levels, pixels.to('uint8')).view([batch, channels, height, width]);
  });
}
