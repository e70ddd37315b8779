/** The settings of every method, as pure zod schemas without the engine, so that recipe checks and `--help` stay fast. */
import * as z from 'zod';

/** Weight of one loss term; 0 switches the term off. */
const weight = z.number().min(0);

/** Networks learn from the labels alone: what every other method is compared with. */
export const independentSettings = z.strictObject({
  name: z.literal('independent'),
});

/** What final-layer and layer-wise contrast have in common. */
const contrastSettings = {
  /** Divides the similarities (the paper's tau). */
  temperature: z.number().positive().default(0.1),
  /** Softens both sides of the KL terms (the paper's T). */
  distillationTemperature: z.number().positive().default(3),
  /** Length of the embedding that the heads produce. */
  embeddingSize: z.int().min(1).max(4096).default(128),
  /** Epochs over which the soft terms grow from nothing to their weight; 0 means full weight from the start. */
  rampUpEpochs: z.int().min(0).default(0),
};

/** Final-layer mutual contrastive learning (arXiv 2104.12565); defaults are the published settings. */
export const mclSettings = z.strictObject({
  name: z.literal('mcl'),
  /** Weights of the four contrastive terms beside the cross-entropy, which always counts 1. */
  weights: z
    .strictObject({
      vcl: weight.default(0.1),
      icl: weight.default(0.1),
      softVcl: weight.default(1),
      softIcl: weight.default(1),
      /** Of the logits' distillation towards the ensemble; 0, the default, leaves it out. */
      logit: weight.default(0),
    })
    .prefault({}),
  ...contrastSettings,
  /** Contrast with remembered embeddings, for many classes; null, the default, contrasts inside the batch. */
  memory: z
    .strictObject({
      /** Images of the anchor's class beside itself. */
      positives: z.int().min(1).max(1024).default(2),
      /** Images of other classes. */
      negatives: z.int().min(1).max(1_048_576).default(8192),
      /** Share of the old embedding when an image is seen again. */
      bankMomentum: z.number().min(0).lt(1).default(0.5),
    })
    .nullable()
    .default(null),
});

/** Layer-wise mutual contrastive learning (arXiv 2207.11518); defaults are the published settings. */
export const lmclSettings = z.strictObject({
  name: z.literal('l-mcl'),
  /** Weights of the terms beside the cross-entropies of every stage and aggregate, which always count 1. */
  weights: z
    .strictObject({
      vcl: weight.default(0.1),
      icl: weight.default(0.1),
      softVcl: weight.default(1),
      softIcl: weight.default(1),
      /** Of the logits' distillation from the aggregated logits. */
      logit: weight.default(1),
    })
    .prefault({}),
  ...contrastSettings,
});

/** Settings of each method by its name: a new method is one line here and its file. */
export const methodSchemas = {
  independent: independentSettings,
  mcl: mclSettings,
  'l-mcl': lmclSettings,
} as const;

/** Resolved settings of MCL. */
export type MclSettings = z.output<typeof mclSettings>;

/** Resolved settings of memory banks. */
export type MemorySettings = NonNullable<MclSettings['memory']>;

/** Resolved settings of layer-wise MCL. */
export type LmclSettings = z.output<typeof lmclSettings>;

/** Any method's settings, told apart by `name`. */
export const methodSettings = z.discriminatedUnion('name', [independentSettings, mclSettings, lmclSettings]);

/** Any method's resolved settings. */
export type MethodSettings = z.output<typeof methodSettings>;

/** Names of the methods. */
export type MethodName = MethodSettings['name'];

/** Fewest networks that each method makes sense with: a method that teaches needs someone to teach. */
export const minimumNetworks: Readonly<Record<MethodName, number>> = {
  independent: 1,
  mcl: 2,
  'l-mcl': 2,
};
