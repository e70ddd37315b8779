/**
 * Test help for golden trajectories: one training in three roundings. Their spread is what rounding alone does to it, since
 * these trajectories multiply an error about thirty times a step (docs/decisions/003-golden-trajectory.md).
 */
import { noGrad, scope, type nn, type Tensor } from '@cohort-ml/torch';
import { expect } from 'vitest';
import { goldenImages } from './golden.ts';

/** The same arithmetic in float32 with two memory layouts, in float64, and in float32 from weights one rounding away. */
export const roundings = ['contiguous', 'channelsLast', 'float64', 'nudgedUp', 'nudgedDown'] as const;

/** What the weights of a nudged run are multiplied by: one unit in the last place of a 32-bit float. */
const nudges = { nudgedUp: 1 + 2 ** -23, nudgedDown: 1 - 2 ** -23 } as const;

/** One of {@link roundings}. */
export type Rounding = (typeof roundings)[number];

/** Puts a module into a rounding. */
export function roundModule<Kind extends nn.AnyModule>(module: Kind, rounding: Rounding): Kind {
  if (rounding === 'float64') return module.toDType('float64');
  if (rounding === 'contiguous' || rounding === 'channelsLast') return module.toMemoryFormat(rounding);
  noGrad(() => {
    for (const parameter of module.parameters()) parameter.mul_(nudges[rounding]);
  });
  return module;
}

/** Golden images in a rounding. */
export function roundedImages(seed: number, shape: readonly number[], rounding: Rounding): Tensor {
  return scope(() => {
    const images = goldenImages(seed, shape);
    if (rounding === 'float64') return images.to('float64');
    return rounding === 'channelsLast' ? images.contiguous({ memoryFormat: rounding }) : images;
  });
}

/**
 * Expects the golden value within 1e-3, or as near to ours as ours are to each other, times three: a few runs show about a
 * third of the range that many would.
 */
export function expectInsideSpread(ours: readonly number[], expected: number, what: string): void {
  const spread = 3 * (Math.max(...ours) - Math.min(...ours));
  const nearest = Math.min(...ours.map((value) => Math.abs(value - expected)));
  expect(nearest, what).toBeLessThanOrEqual(1e-5 + 1e-3 * Math.abs(expected) + spread);
}
