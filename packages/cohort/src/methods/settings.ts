/** The settings of every method, as pure zod schemas without the engine, so that recipe checks and `--help` stay fast. */
import * as z from 'zod';
import { notNegative, positive } from '../support/numberSchemas.ts';
import {
  afdSettings,
  clIlrSettings,
  dcmSettings,
  dmlSettings,
  fflSettings,
  kdclSettings,
  okddipSettings,
  oneSettings,
  pclSettings,
  switokdSettings,
} from './baselines/baselineSettings.ts';

export { minimumNetworks } from './catalogue.ts';

/** Weight of one loss term; 0 switches the term off. */
const weight = notNegative;

/** Networks learn from the labels alone: what every other method is compared with. */
export const independentSettings = z.strictObject({
  name: z.literal('independent'),
});

/** What final-layer and layer-wise contrast have in common. */
const contrastSettings = {
  /** Divides the similarities (the paper's tau). */
  temperature: positive.default(0.1),
  /** Softens both sides of the KL terms (the paper's T). */
  distillationTemperature: positive.default(3),
  /** Length of the embedding that the heads produce. */
  embeddingSize: z.int().min(1).max(4096).default(128),
  /** Epochs over which the soft terms grow from nothing to their weight; 0 means full weight from the start. */
  rampUpEpochs: z.int().min(0).default(0),
};

/**
 * Final-layer mutual contrastive learning (arXiv 2104.12565); defaults are the weights and T of the published program, which
 * has a temperature of 0.07, and one further positive in memory; the 0.1 here is what docs/results.md was measured with.
 */
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
  /** Which networks learn from the ensemble's logits; published are both of two networks, and the last of more. */
  logitStudents: z.enum(['all', 'last']).default('all'),
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
  /**
   * Depth of the refinement branches: `full` copies every later block, `short` one block a stage; `auto` is `short` for
   * networks whose strides divide the image by 32 or more, as published for ImageNet, else `full`.
   */
  refinement: z.enum(['auto', 'full', 'short']).default('auto'),
  /** What weights pairs of stages: the matching network, or the same weight for all, for ablations; it then has no meta step. */
  matching: z.enum(['learned', 'uniform']).default('learned'),
  /** How the matching network is trained; null leaves its first weights as they are. Defaults are the published settings. */
  meta: z
    .strictObject({
      /** A meta step follows the first and then every so many training steps. */
      intervalSteps: z.int().min(1).default(50),
      /** Look-ahead steps on the layer-wise MCL loss, before the one on the cross-entropy. */
      innerSteps: z.int().min(1).max(100).default(2),
      /** Of look-ahead steps and matching network; null follows the training's schedule. */
      learningRate: positive.nullable().default(null),
      momentum: z.number().min(0).lt(1).default(0.9),
      weightDecay: weight.default(0.0005),
      /** Images of the cross-entropy: the training step's own, or others of the same epoch. */
      outerBatch: z.enum(['same', 'other']).default('same'),
      /** What networks compute in when they look ahead: as `train.precision` says, or always float32. */
      precision: z.enum(['training', 'float32']).default('training'),
    })
    .nullable()
    .prefault({}),
});

/** Settings of each method by its name: a new method is one line here and its file. */
export const methodSchemas = {
  independent: independentSettings,
  mcl: mclSettings,
  'l-mcl': lmclSettings,
  dml: dmlSettings,
  'cl-ilr': clIlrSettings,
  one: oneSettings,
  okddip: okddipSettings,
  kdcl: kdclSettings,
  pcl: pclSettings,
  ffl: fflSettings,
  afd: afdSettings,
  dcm: dcmSettings,
  switokd: switokdSettings,
} as const;

/** Resolved settings of MCL. */
export type MclSettings = z.output<typeof mclSettings>;

/** Resolved settings of memory banks. */
export type MemorySettings = NonNullable<MclSettings['memory']>;

/** Resolved settings of layer-wise MCL. */
export type LmclSettings = z.output<typeof lmclSettings>;

/** Resolved settings of the meta step. */
export type MetaSettings = NonNullable<LmclSettings['meta']>;

/** Any method's settings, told apart by `name`. */
export const methodSettings = z.discriminatedUnion('name', [
  independentSettings,
  mclSettings,
  lmclSettings,
  dmlSettings,
  clIlrSettings,
  oneSettings,
  okddipSettings,
  kdclSettings,
  pclSettings,
  fflSettings,
  afdSettings,
  dcmSettings,
  switokdSettings,
]);

/** Any method's resolved settings. */
export type MethodSettings = z.output<typeof methodSettings>;

/** Names of the methods. */
export type MethodName = MethodSettings['name'];

/** The resolved settings of one method: `SettingsOf<'dml'>`. */
export type SettingsOf<Name extends MethodName> = Extract<MethodSettings, { name: Name }>;
