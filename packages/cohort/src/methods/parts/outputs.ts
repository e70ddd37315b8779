/** What methods that pass on logits do first: run the cohort, and take what it says in full precision. */
import type { Tensor } from '@cohort-ml/torch';
import type { NetworkOutput } from '../../models/index.ts';
import { inFullPrecision } from './precision.ts';
import { at } from '../../support/at.ts';

/** Logits of every network in float32, `[B, classes]` each: losses need more than bfloat16's two digits. */
export function logitsOf(outputs: readonly NetworkOutput[]): Tensor[] {
  return outputs.map(({ logits }) => inFullPrecision(logits));
}

/** Pooled features of every network in float32, `[B, D]` each. */
export function embeddingsOf(outputs: readonly NetworkOutput[]): Tensor[] {
  return outputs.map(({ embedding }) => inFullPrecision(embedding));
}

/**
 * The last stage's feature map of every network, `[B, C_i, H, W]` each, pooled to the smallest height and width among them.
 *
 * @param outputs with the maps of their stages
 * @throws {RangeError} for outputs without
 */
export function lastMaps(outputs: readonly NetworkOutput[]): Tensor[] {
  const maps = outputs.map(({ stages }) => {
    const map = stages.at(-1);
    if (map === undefined) throw new RangeError('lastMaps: expected the feature maps of stages, got none');
    return map;
  });
  const size = [2, 3].map((dimension) =>
    Math.min(...maps.map(({ shape }) => at(shape, dimension, 'the shape of a map'))),
  );
  return maps.map((map) => (map.shape.slice(2).join() === size.join() ? map : map.adaptiveAvgPool2d(size)));
}
