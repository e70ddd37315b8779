/** Settings of samplers as pure zod schemas, without the engine, so that recipe checks stay fast. */
import * as z from 'zod';

/** All images once, in a new order every epoch. */
export const shuffledSettings = z.strictObject({ name: z.literal('shuffled') });

/** Batches of a few classes with the same number of images each. */
export const classBalancedSettings = z.strictObject({
  name: z.literal('class-balanced'),
  /** Images of a class in a batch (m). */
  imagesPerClass: z.int().min(1).max(65_536).default(4),
});

/** Any sampler's settings, told apart by `name`. */
export const samplerSettings = z.discriminatedUnion('name', [shuffledSettings, classBalancedSettings]);

/** Any sampler's resolved settings. */
export type SamplerSettings = z.output<typeof samplerSettings>;
