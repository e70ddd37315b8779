/**
 * Online Knowledge Distillation via Collaborative Learning (KDCL, Guo et al., CVPR 2020): networks that see an image
 * augmented differently (`data.augmentation.views: independent`) learn from one target that they make together, `L =
 * sum_i CE_i + T^2 KL(p_t || p_i)`. The target is, by `teacher`: the best network's logits (naive), their best mixture for
 * each image (linear), the smallest logits relative to the label's (min-logit), or a mixture whose weights minimise the
 * error on held-out images, solved before every epoch but the first (general).
 *
 * Public implementations differ: no program of the authors was found; a common one has none of the four targets but the
 * sum of all logits, at T 4, and counts labels and target half each. The paper leaves the weights of general free; here
 * they are 0 or more, and the matrix is regularised, since networks that agree make it singular. Naive is chosen for
 * each image; a mixed image counts as its dominant label in all but classification.
 */
import { keep, nn, ops, scope, tensor, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import {
  classification,
  type Classification,
  dominantLabels,
  ensembleWeights,
  errorProducts,
  linearTarget,
  minLogitTarget,
  naiveTarget,
  pairedDistillation,
  rampUp,
  weightedTarget,
} from '../../losses/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import type { HeldOutWork, LabelledImages, Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { logitsOf } from '../parts/outputs.ts';
import { defineMethod } from '../definition.ts';
import { distillationWeight, rampUpEpochs, softening } from '../parts/settings.ts';
import { positive } from '../../support/numberSchemas.ts';

/** Collaborative learning (KDCL, CVPR 2020). */
const kdclSettings = z.strictObject({
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

/** Resolved settings. */
export type KdclSettings = z.output<typeof kdclSettings>;

/** Weights of the networks in the target of `general`; buffers, since they are solved for and not trained. */
class TargetWeights extends nn.Module {
  readonly weights: Tensor;
  /** Sums over the held-out images seen so far. */
  readonly products: Tensor;

  constructor(networks: number) {
    super();
    this.weights = keep(ops.full([networks], 1 / networks));
    this.products = keep(ops.zeros([networks, networks]));
  }

  override forward(input: Tensor): Tensor {
    return input;
  }

  solve(): void {
    scope(() => {
      const [networks = 0] = this.weights.shape;
      const flat = this.products.toNumbers();
      const rows = Array.from({ length: networks }, (_, row) =>
        flat.slice(row * networks, (row + 1) * networks),
      );
      this.weights.copy_(tensor(ensembleWeights(rows)));
      this.products.zero_();
    });
  }
}

/** Networks that learn from a target of their making. */
export class CollaborativeDistillation implements Method {
  readonly modules: { readonly target?: TargetWeights };
  readonly heldOut?: HeldOutWork;
  readonly #topology: Topology;
  readonly #settings: KdclSettings;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: KdclSettings) {
    this.#classification = context.classification ?? classification;
    this.#topology = context.topology ?? new Peers(context.networks);
    this.#settings = settings;
    if (settings.teacher !== 'general') {
      this.modules = {};
      return;
    }
    const target = new TargetWeights(context.networks.length);
    this.modules = { target };
    this.heldOut = {
      observe: ({ images, labels }) => {
        target.products.add_(errorProducts(logitsOf(this.#topology.run({ images })), labels));
      },
      finish: () => {
        target.solve();
      },
    };
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature, rampUpEpochs } = this.#settings;
    const logits = logitsOf(this.#topology.run(step));
    const target = this.#target(logits, step);
    return {
      losses: {
        classification: { value: this.#classification(logits, step.labels, step.mix), weight: 1 },
        distillation: {
          value: pairedDistillation(
            logits,
            logits.map(() => target),
            distillationTemperature,
          ),
          weight: weights.distillation * rampUp(step.epoch, rampUpEpochs),
        },
      },
    };
  }

  /** How much each network counts in the target. */
  epochMetrics(): Record<string, number> {
    const weights = this.modules.target?.weights.toNumbers() ?? [];
    return Object.fromEntries(weights.map((weight, index) => [`targetWeight/${index + 1}`, weight]));
  }

  #target(logits: readonly Tensor[], { labels, mix }: LabelledImages): Tensor {
    const { target } = this.modules;
    if (target !== undefined) return weightedTarget(logits, target.weights);
    const classes = dominantLabels(labels, mix);
    switch (this.#settings.teacher) {
      case 'naive':
        return naiveTarget(logits, classes);
      case 'linear':
        return linearTarget(logits, classes);
      case 'general':
      case 'min-logit':
        return minLogitTarget(logits, classes);
    }
  }
}

/** The method, for the registry. */
export const kdcl = defineMethod({
  settings: kdclSettings,
  title: 'knowledge distillation by collaborative learning',
  paper: 'Guo et al., CVPR 2020',
  equation: 'CE_i + KL(p_t || p_i), z_t of the best, of the least margins, or mixed',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'nothing (teacher general: a weight for each network)',
  deployed: 'every network',
  variants: {
    'kdcl-naive': {
      title: 'KDCL, target of the best network',
      equation: 'CE_i + KL(p_t || p_i), z_t = z_b, b = argmin_k CE(z_k), for each image',
      settings: { teacher: 'naive' },
    },
    'kdcl-linear': {
      title: 'KDCL, target mixed for each image',
      equation:
        'CE_i + KL(p_t || p_i), z_t = sum_k a_k z_k, a = argmin CE(z_t) on the simplex, for each image',
      settings: { teacher: 'linear' },
    },
    'kdcl-min-logit': {
      title: 'KDCL, target of the least margins',
      equation: "CE_i + KL(p_t || p_i), z_t,c = min_k (z_k,c - z_k,y), y the image's class",
      settings: { teacher: 'min-logit' },
    },
    'kdcl-general': {
      title: 'KDCL, target with weights solved on held-out images',
      equation: 'CE_i + KL(p_t || p_i), z_t = sum_k w_k z_k, w once an epoch',
      settings: { teacher: 'general' },
    },
  },
  heldOutImages: ({ teacher, heldOutImages }) => (teacher === 'general' ? heldOutImages : null),
  crossing: () => ['logits'],
  create: (context, settings) => new CollaborativeDistillation(context, settings),
});
