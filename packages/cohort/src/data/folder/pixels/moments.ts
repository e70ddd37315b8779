/** Sums over the pixels of each image, taken when it is decoded, so that any subset can be normalised without its pixels. */
import type { ImageShape } from '../../dataset.ts';
import type { Normalisation } from '../../loading/normalisation.ts';

/** Sum and sum of squares of every channel of every image: `[N, C, 2]`. Whole numbers, exact. */
export type Moments = Float64Array;

/** Room for the moments of `count` images. */
export function emptyMoments(count: number, channels: number): Moments {
  return new Float64Array(count * channels * 2);
}

/** Measures image `index`, whose pixels are `[C, H, W]`. */
export function measureImage(moments: Moments, index: number, pixels: Uint8Array, channels: number): void {
  const planeSize = pixels.length / channels;
  for (let channel = 0; channel < channels; channel += 1) {
    let sum = 0;
    let squares = 0;
    const end = (channel + 1) * planeSize;
    for (let position = channel * planeSize; position < end; position += 1) {
      const value = pixels[position] ?? 0;
      sum += value;
      squares += value * value;
    }
    moments[2 * (index * channels + channel)] = sum;
    moments[2 * (index * channels + channel) + 1] = squares;
  }
}

/**
 * Mean and (population) standard deviation of every channel over the images at `indices`, after division by 255; a
 * channel of one value has deviation 1, as in `channelStatistics`.
 */
export function statisticsOf(moments: Moments, indices: Int32Array, shape: ImageShape): Normalisation {
  const pixels = indices.length * shape.height * shape.width;
  const mean: number[] = [];
  const std: number[] = [];
  for (let channel = 0; channel < shape.channels; channel += 1) {
    let sum = 0;
    let squares = 0;
    for (const index of indices) {
      sum += moments[2 * (index * shape.channels + channel)] ?? 0;
      squares += moments[2 * (index * shape.channels + channel) + 1] ?? 0;
    }
    const center = sum / pixels;
    const variance = squares / pixels - center * center;
    mean.push(center / 255);
    std.push(variance < 1e-6 ? 1 : Math.sqrt(variance) / 255);
  }
  return { mean, std };
}
