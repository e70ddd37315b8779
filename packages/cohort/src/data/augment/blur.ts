/** Gaussian blur of whole batches, each image with a standard deviation of its own (SimCLR, arXiv 2002.05709, appendix A). */
import { ops, scope, type Tensor } from '@cohort-ml/torch';
import { RANDOM_PURPOSE } from '../loading/random.ts';
import { perSample, SampleDraws, type DrawKeys } from './draws.ts';
import { applyByGroup, toBytes } from './pixels.ts';
import type { BlurSettings } from './settings.ts';

/** What was drawn for the samples of a batch. */
export interface BlurDraws {
  /** 0 for images that are blurred, -1 for all others, `[B]`. */
  readonly groups: Int32Array;
  /** Standard deviations in pixels, `[B]`. */
  readonly sigmas: Float64Array;
}

/** Standard deviations on either side of the middle that the kernel reaches; what is beyond weighs 0.3%. */
const REACH = 3;

/** Draws which images are blurred, and how much, evenly between the two deviations. */
export function drawBlur({ sigma, probability }: BlurSettings, keys: DrawKeys): BlurDraws {
  const draws = new SampleDraws(RANDOM_PURPOSE.blur, keys);
  const groups = Int32Array.from(draws.uniform(), (draw) => (draw < probability ? 0 : -1));
  return { groups, sigmas: draws.uniform(...sigma) };
}

/**
 * Blurs as drawn; beyond its edges an image is padded with its outermost pixels.
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @returns uint8 `[B, C, H, W]`
 */
export function blur(images: Tensor, { groups, sigmas }: BlurDraws): Tensor {
  return applyByGroup(images, groups, (_, samples, rows) =>
    scope(() => {
      const own = Array.from(rows, (row) => sigmas[row] ?? 1);
      const across = along(samples.to('float32'), 3, own);
      return toBytes(along(across, 2, own).add(0.5));
    }),
  );
}

/** Blurs along one dimension of `[G, C, H, W]`: a weighted sum of shifted copies, each sample with its own weights. */
function along(images: Tensor, dimension: 2 | 3, sigmas: readonly number[]): Tensor {
  const length = images.shape[dimension] ?? 0;
  const radius = Math.ceil(REACH * Math.max(...sigmas));
  const kernels = sigmas.map((sigma) => kernel(sigma, radius));
  const padding = dimension === 3 ? [radius, radius, 0, 0] : [0, 0, radius, radius];
  const padded = images.replicationPad2d(padding);
  const sum = ops.zerosLike(images);
  for (let tap = 0; tap <= 2 * radius; tap += 1) {
    const weights = perSample(kernels.map((weightsOf) => weightsOf[tap] ?? 0));
    sum.addcmul_(padded.narrow(dimension, tap, length), weights);
  }
  return sum;
}

/** Weights from `-radius` to `radius`, with a sum of 1; zero beyond the reach of the sample's own deviation. */
function kernel(sigma: number, radius: number): number[] {
  const own = Math.ceil(REACH * sigma);
  const weights = Array.from({ length: 2 * radius + 1 }, (_, tap) => {
    const distance = tap - radius;
    return Math.abs(distance) > own ? 0 : Math.exp(-((distance / sigma) ** 2) / 2);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
