/** The usual sampler: every image once an epoch, in a new random order. */
import { RANDOM_PURPOSE, shuffleInPlace } from '../loading/random.ts';
import type { SamplerInput } from './input.ts';

/** The order of an epoch; images beyond `imageCount` wait for another epoch. */
export function shuffledOrder({ labels, imageCount, seed, epoch }: SamplerInput): Int32Array {
  const indices = Int32Array.from({ length: labels.length }, (_, index) => index);
  return shuffleInPlace(indices, RANDOM_PURPOSE.order, seed, epoch).subarray(0, imageCount);
}
