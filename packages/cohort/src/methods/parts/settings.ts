/** Settings that several methods have, each with its default and meaning in one place. */
import * as z from 'zod';
import { notNegative, positive } from '../../support/numberSchemas.ts';

/** Weight of one loss term; 0 switches the term off. */
export const lossWeight = notNegative;

/** The one weight of methods with a single term added to the cross-entropy, which counts 1. */
export const distillationWeight = z.strictObject({ distillation: lossWeight.default(1) }).prefault({});

/** Softens both sides of the KL terms (the papers' T), which are multiplied by its square; 3 is usual in comparisons. */
export function softening(temperature = 3): { distillationTemperature: z.ZodDefault<typeof positive> } {
  return { distillationTemperature: positive.default(temperature) };
}

/** Epochs over which what networks learn from each other grows to its weight; 0 means full weight from the start. */
export function rampUpEpochs(epochs: number): z.ZodDefault<z.ZodInt> {
  return z.int().min(0).default(epochs);
}

/**
 * Depth of refinement branches: `full` copies every later block, `short` one block a stage; `auto` is `short` for networks
 * whose strides divide the image by 32 or more, as published for ImageNet, else `full`.
 */
export const refinementDepth = z.enum(['auto', 'full', 'short']).default('auto');

/** What final-layer and layer-wise contrast have in common. */
export const contrastSettings = {
  /** Divides the similarities (the paper's tau). */
  temperature: positive.default(0.1),
  ...softening(),
  /** Length of the embedding that the heads produce. */
  embeddingSize: z.int().min(1).max(4096).default(128),
  /** Of the soft terms. */
  rampUpEpochs: rampUpEpochs(0),
};
