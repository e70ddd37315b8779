/** Settings that every method takes in addition to its own: the cross-entropy, gradient clipping, averages of weights, early stopping. */
import * as z from 'zod';
import { notNegative, positive } from '../support/numberSchemas.ts';

/** `classWeights: balanced` and `classWeights: [1, 2]` say the same as the sections that they stand for. */
function expandClassWeights(given: unknown): unknown {
  if (typeof given === 'string') return { name: given };
  return Array.isArray(given) ? { name: 'explicit', weights: given as unknown[] } : given;
}

/** What every class counts in the cross-entropy. */
const classWeightsSchema = z.discriminatedUnion('name', [
  /** Every class counts the same in all: images / (classes x images of the class). */
  z.strictObject({ name: z.literal('balanced') }),
  /** By the effective number of images (Cui et al., arXiv 1901.05555); weights have a mean of 1. */
  z.strictObject({
    name: z.literal('effective-number'),
    /** Each further image of a class counts so much of the one before. */
    beta: z.number().min(0).lt(1).default(0.999),
  }),
  /** As given: a list in the order of the classes, or a section with a weight for each class by its name. */
  z.strictObject({
    name: z.literal('explicit'),
    weights: z.union([z.array(positive).min(1), z.record(z.string(), positive)]),
  }),
]);

/** The cross-entropy that networks learn the labels by; other loss terms are as the method has them. */
export const classificationSchema = z.strictObject({
  /** Share of the target that is spread evenly over all classes; 0.1 is usual. */
  labelSmoothing: z.number().min(0).lt(1).default(0),
  /** null: every image counts the same. */
  classWeights: z.preprocess(expandClassWeights, classWeightsSchema.nullable()).default(null),
  /** Strength of the logit-adjusted loss for uneven classes (Menon et al., arXiv 2007.07314), 1 as published; null: none. */
  logitAdjustment: positive.nullable().default(null),
});

/** Limits gradients before every step of the recipe's optimizer. */
export const gradientClippingSchema = z.strictObject({
  /** `norm` scales all gradients of a group down to the maximum; `value` cuts off each entry. */
  by: z.enum(['norm', 'value']).default('norm'),
  maximum: positive,
  /**
   * What the norm is taken over: each network by itself (and each module of the method), so that one network's large
   * gradients do not slow the others down, or all parameters together.
   */
  over: z.enum(['network', 'all']).default('network'),
});

/** Exponential moving average of the networks' weights, which is then what is measured and kept for use. */
export const weightAverageSchema = z.strictObject({
  /** Share of the old average that each step keeps. */
  decay: z.number().min(0).lt(1).default(0.999),
  /** Begins with a plain mean of all steps so far, until that would weigh the past more than `decay` does. */
  warmUp: z.boolean().default(true),
  /** Networks also learn from the ensemble of the averages, one more forward pass a step; null: they do not. */
  teacher: z
    .strictObject({
      weight: positive.default(1),
      /** Softens both sides; the term counts its square. */
      distillationTemperature: positive.default(3),
      /** Epochs over which the term grows from nothing to its weight. */
      rampUpEpochs: z.int().min(0).default(0),
    })
    .nullable()
    .default(null),
});

/** Ends a training that gets no better on validation images, and keeps the networks of its best epoch. */
export const earlyStoppingSchema = z.strictObject({
  /**
   * Mean over the networks that are measured: accuracy (higher is better; the main score of a task other than classification) or
   * negative log-likelihood (lower is).
   */
  metric: z.enum(['accuracy', 'negative-log-likelihood']).default('accuracy'),
  /** Evaluations in a row without an improvement after which the training ends. */
  patience: z.int().min(1).default(10),
  /** How much better than the best so far counts as an improvement; accuracy from 0 to 1, likelihood in nats. */
  minimumImprovement: notNegative.default(0),
});

/** Measures embeddings by nearest neighbours in the course of a training; only forward passes, and nothing of the training changes. */
export const onlineProbeSchema = z.strictObject({
  /** After so many epochs, and after the last. */
  everyEpochs: z.int().min(1).default(5),
  by: z.literal('neighbours').default('neighbours'),
  /** Neighbours that vote (DINO: 10 to 200, best 20). */
  k: z.int().min(1).default(20),
  /** A vote counts exp(cosine similarity / temperature). */
  temperature: positive.default(0.07),
  /** Training images whose labels are known to it, a stratified subset; null: all. */
  trainImages: z.int().min(2).nullable().default(5000),
});
