/** The settings of the methods that MCL is compared with; without the engine, as those in settings.ts. */
import * as z from 'zod';
import { notNegative, positive } from '../../support/numberSchemas.ts';

const distillationWeight = z.strictObject({ distillation: notNegative.default(1) }).prefault({});

/** What all methods that pass on logits have; the default temperature is that of their comparisons. */
const softening = (temperature = 3): { distillationTemperature: z.ZodDefault<typeof positive> } => ({
  /** Softens both sides of the KL terms (T), which are multiplied by its square. */
  distillationTemperature: positive.default(temperature),
});

/** Epochs over which what networks learn from each other grows to its weight; 0 means full weight from the start. */
const rampUpEpochs = (epochs: number): z.ZodDefault<z.ZodInt> => z.int().min(0).default(epochs);

/** Deep mutual learning (arXiv 1706.00384). */
export const dmlSettings = z.strictObject({
  name: z.literal('dml'),
  weights: distillationWeight,
  /** The paper has 1, which is no softening. */
  ...softening(1),
  rampUpEpochs: rampUpEpochs(0),
});

/** Collaborative learning with intermediate-level representation sharing (arXiv 1805.11761). */
export const clIlrSettings = z.strictObject({
  name: z.literal('cl-ilr'),
  /** Share of the labels in the loss (the paper's beta); what the others say has the rest. */
  labelShare: z.number().min(0).max(1).default(0.5),
  ...softening(2),
  rampUpEpochs: rampUpEpochs(0),
  /** Divides the gradient of shared layers at each split by the number of ways; changes nothing where nothing is shared. */
  rescaleGradient: z.boolean().default(true),
});

/** On-the-fly native ensemble (arXiv 1806.04606). */
export const oneSettings = z.strictObject({
  name: z.literal('one'),
  weights: distillationWeight,
  ...softening(),
  rampUpEpochs: rampUpEpochs(80),
});

/** Online knowledge distillation with diverse peers (arXiv 1912.00350). */
export const okddipSettings = z.strictObject({
  name: z.literal('okddip'),
  weights: z
    .strictObject({
      /** Of the peers' distillation from each other. */
      distillation: notNegative.default(1),
      /** Of the leader's, from the peers' mean. */
      leader: notNegative.default(1),
    })
    .prefault({}),
  ...softening(),
  rampUpEpochs: rampUpEpochs(80),
  /** Queries and keys are so many times narrower than embeddings. */
  projectionFactor: z.int().min(1).max(4096).default(8),
  /** Keeps gradients out of the targets: then queries and keys learn nothing and stay as they were drawn. */
  detachTargets: z.boolean().default(false),
});

/** Collaborative learning (KDCL, CVPR 2020). */
export const kdclSettings = z.strictObject({
  name: z.literal('kdcl'),
  /** How the target is made; `general` solves for weights on held-out images before every epoch but the first. */
  teacher: z.enum(['naive', 'linear', 'min-logit', 'general']).default('min-logit'),
  weights: distillationWeight,
  ...softening(),
  rampUpEpochs: rampUpEpochs(0),
  /**
   * For `general`, where there are no validation images: how many training images are held out instead, or their share
   * where below 1.
   */
  heldOutImages: positive.default(0.05),
});

/** Peer collaborative learning (arXiv 2006.04147). */
export const pclSettings = z.strictObject({
  name: z.literal('pcl'),
  weights: z
    .strictObject({
      /** Of the distillation from the ensemble of all peers' features. */
      ensemble: notNegative.default(1),
      /** Of the distillation from the other peers' averages. */
      meanTeachers: notNegative.default(1),
    })
    .prefault({}),
  ...softening(),
  rampUpEpochs: rampUpEpochs(80),
  /** Largest share of the old average that a step keeps; step t keeps min(1 - 1 / (t + 1), this). */
  averageDecay: z.number().min(0).lt(1).default(0.999),
});

/** Feature fusion learning (arXiv 1904.09058). */
export const fflSettings = z.strictObject({
  name: z.literal('ffl'),
  weights: z
    .strictObject({
      /** Of the networks' distillation from the fused classifier. */
      fused: notNegative.default(1),
      /** Of the fused classifier's, from the mean of the networks. */
      ensemble: notNegative.default(1),
    })
    .prefault({}),
  ...softening(),
  rampUpEpochs: rampUpEpochs(80),
});

/** Feature-map-level online adversarial knowledge distillation (arXiv 2002.01775). */
export const afdSettings = z.strictObject({
  name: z.literal('afd'),
  weights: z
    .strictObject({
      distillation: notNegative.default(1),
      /** Of fooling the discriminators, beside losses of the logits. */
      adversarial: notNegative.default(0.1),
    })
    .prefault({}),
  ...softening(),
  rampUpEpochs: rampUpEpochs(0),
  /** How the discriminators are trained, by AdamW of their own. */
  discriminator: z
    .strictObject({ learningRate: positive.default(2e-5), weightDecay: notNegative.default(0.1) })
    .prefault({}),
});

/** Dense cross-layer mutual distillation (arXiv 2008.07816). */
export const dcmSettings = z.strictObject({
  name: z.literal('dcm'),
  weights: z
    .strictObject({
      /** Of distillation between classifiers of the same stage, counted from the last. */
      sameStage: notNegative.default(1),
      /** Of distillation between classifiers of different stages. */
      crossStage: notNegative.default(1),
    })
    .prefault({}),
  ...softening(1),
  rampUpEpochs: rampUpEpochs(0),
  /** Depth of the auxiliary classifiers: as the network, one block a stage, or `short` for networks for large images. */
  refinement: z.enum(['auto', 'full', 'short']).default('auto'),
});

/** Switchable online knowledge distillation (arXiv 2209.04996). */
export const switokdSettings = z.strictObject({
  name: z.literal('switokd'),
  /** How many networks, the first ones, are teachers, which are paused; the others are students. */
  teachers: z.int().min(1).default(1),
  weights: z
    .strictObject({
      /** Of a student's distillation from the others (alpha). */
      student: notNegative.default(1),
      /** Of a teacher's, while it is not paused (beta). */
      teacher: notNegative.default(1),
    })
    .prefault({}),
  ...softening(1),
  rampUpEpochs: rampUpEpochs(0),
});
