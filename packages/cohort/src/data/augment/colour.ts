/** Brightness, contrast, saturation, hue and sharpness of whole batches, each sample by its own factor, as in Pillow's `ImageEnhance`. */
import { ops, scope, type Tensor } from '@cohort-ml/torch';
import { assertNumberPerImage, blend, luminance, toBytes } from './pixels.ts';

/**
 * Multiplies pixels by the factor: 0 gives black, 1 the image (Pillow's `ImageEnhance.Brightness`).
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @param factors float32 `[B, 1, 1, 1]`, from 0, without a unit
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images, or another number of factors
 */
export function adjustBrightness(images: Tensor, factors: Tensor): Tensor {
  assertNumberPerImage('adjustBrightness', images, factors.numel);
  return scope(() => toBytes(images.to('float32').mul(factors)));
}

/**
 * Scales the distance from the image's mean luminance: 0 gives one shade of grey, 1 the image (Pillow's `ImageEnhance.Contrast`).
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @param factors float32 `[B, 1, 1, 1]`, from 0, without a unit
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images, or another number of factors
 */
export function adjustContrast(images: Tensor, factors: Tensor): Tensor {
  assertNumberPerImage('adjustContrast', images, factors.numel);
  return scope(() => {
    const grey = luminance(images).to('float64'); // float64 holds the sum exactly
    const mean = grey
      .sum([1, 2, 3], true)
      .div((grey.shape[2] ?? 1) * (grey.shape[3] ?? 1))
      .add(0.5)
      .floor()
      .to('float32');
    return blend(mean, images, factors);
  });
}

/**
 * Scales the distance from the pixel's luminance: 0 gives a grey image, 1 the image (Pillow's `ImageEnhance.Color`). Images
 * without three channels have no colour and are returned as they are.
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @param factors float32 `[B, 1, 1, 1]`, from 0, without a unit
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images, or another number of factors
 */
export function adjustSaturation(images: Tensor, factors: Tensor): Tensor {
  assertNumberPerImage('adjustSaturation', images, factors.numel);
  if (images.shape[1] !== 3) return images;
  return scope(() => blend(luminance(images), images, factors));
}

/**
 * Scales the distance from the smoothed image: 0 gives the smooth image, 1 the image (Pillow's `ImageEnhance.Sharpness`). The
 * outermost pixels have too few neighbours and stay, as do images of fewer than 3 pixels in height or width.
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @param factors float32 `[B, 1, 1, 1]`, from 0, without a unit
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images, or another number of factors
 */
export function adjustSharpness(images: Tensor, factors: Tensor): Tensor {
  assertNumberPerImage('adjustSharpness', images, factors.numel);
  const [, , height = 0, width = 0] = images.shape;
  if (height < 3 || width < 3) return images;
  return scope(() => {
    const values = images.to('float32');
    const three = (tensor: Tensor, dim: number): Tensor => {
      const length = (tensor.shape[dim] ?? 0) - 2;
      return tensor
        .narrow(dim, 0, length)
        .add(tensor.narrow(dim, 1, length))
        .add(tensor.narrow(dim, 2, length));
    };
    const inner = (tensor: Tensor): Tensor => tensor.narrow(2, 1, height - 2).narrow(3, 1, width - 2);
    // Weights 1 around 5, divided by 13; whole numbers until then, so that the rounding is exact.
    const sums = three(three(values, 3), 2).add(inner(values).mul(4)); // [B, C, H - 2, W - 2]
    const degenerate = values.clone();
    inner(degenerate).copy_(sums.div(13).add(0.5).floor());
    return blend(degenerate, images, factors);
  });
}

/**
 * Rotates the hue and keeps saturation and value (HSV: Smith, Color gamut transform pairs, SIGGRAPH 1978). It is computed in float32 and rounded: Pillow's way
 * through HSV in bytes would lose up to a few levels. Images without three channels are returned as they are.
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @param turns float32 `[B, 1, 1, 1]`, in turns of the colour circle; 0 gives the image
 * @returns uint8 `[B, C, H, W]`
 * @throws {ArgumentError} for other images, or another number of turns
 */
export function adjustHue(images: Tensor, turns: Tensor): Tensor {
  assertNumberPerImage('adjustHue', images, turns.numel);
  if (images.shape[1] !== 3) return images;
  return scope(() => {
    const values = images.to('float32');
    const [red, green, blue] = [0, 1, 2].map((channel) => values.narrow(1, channel, 1)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const value = values.amax([1], true); // [B, 1, H, W]
    const chroma = value.sub(values.amin([1], true));
    const divisor = chroma.clampMin(1);
    const isRed = value.eq(red);
    const isGreen = value.eq(green);
    // The hue in sixths of a turn.
    const ofRed = green.sub(blue).div(divisor);
    const ofGreen = blue.sub(red).div(divisor).add(2);
    const ofBlue = red.sub(green).div(divisor).add(4);
    const hue = ops.where(isRed, ofRed, ops.where(isGreen, ofGreen, ofBlue)).add(turns.mul(6));
    // Channel n is value - chroma * max(0, min(k, 4 - k, 1)) with k = (n + hue) mod 6.
    const channels = [5, 3, 1].map((offset) => {
      const k = hue.add(offset + 6).remainder(6);
      return value.sub(chroma.mul(ops.minimum(k, k.neg().add(4)).clamp(0, 1)));
    });
    return toBytes(ops.cat(channels, 1).add(0.5));
  });
}
