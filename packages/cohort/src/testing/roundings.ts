/**
 * Test help for golden trajectories: one training in three roundings. Their spread is what rounding alone does to it, since
 * these trajectories multiply an error about thirty times a step (docs/decisions/003-golden-trajectory.md).
 */
import { scope, type nn, type Tensor } from '@cohort/torch';
import { expect } from 'vitest';
import { goldenImages } from './golden.ts';

/** The same arithmetic in float32 with two memory layouts, and in float64. */
export const roundings = ['contiguous', 'channelsLast', 'float64'] as const;

/** One of {@link roundings}. */
export type Rounding = (typeof roundings)[number];

/** Puts a module into a rounding. */
export function roundModule<Kind extends nn.AnyModule>(module: Kind, rounding: Rounding): Kind {
  return rounding === 'float64' ? module.toDType('float64') : module.toMemoryFormat(rounding);
}

/** Golden images in a rounding. */
export function roundedImages(seed: number, shape: readonly number[], rounding: Rounding): Tensor {
  return scope(() => {
    const images = goldenImages(seed, shape);
    return rounding === 'float64' ? images.to('float64') : images.contiguous({ memoryFormat: rounding });
  });
}

/**
 * Expects the golden value within 1e-3, or as near to ours as ours are to each other, times three: three runs show about
 * a third of the range that many would.
 */
export function expectInsideSpread(ours: readonly number[], expected: number, what: string): void {
  const spread = 3 * (Math.max(...ours) - Math.min(...ours));
  const nearest = Math.min(...ours.map((value) => Math.abs(value - expected)));
  expect(nearest, what).toBeLessThanOrEqual(1e-5 + 1e-3 * Math.abs(expected) + spread);
}
