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
import {
  viewsOf,
  type HeldOutWork,
  type LabelledImages,
  type LossTerm,
  type Method,
  type MethodContext,
  type StepInput,
} from '../method.ts';
import { logitsOf } from '../parts/outputs.ts';
import type { SettingsOf } from '../settings.ts';

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
  readonly #settings: SettingsOf<'kdcl'>;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: SettingsOf<'kdcl'>) {
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
        target.products.add_(errorProducts(logitsOf(this.#topology.run(images)), labels));
      },
      finish: () => {
        target.solve();
      },
    };
  }

  terms(step: StepInput): Record<string, LossTerm> {
    const { weights, distillationTemperature, rampUpEpochs } = this.#settings;
    const logits = logitsOf(this.#topology.run(viewsOf(step)));
    const target = this.#target(logits, step);
    return {
      classification: { value: this.#classification(logits, step.labels, step.mix), weight: 1 },
      distillation: {
        value: pairedDistillation(
          logits,
          logits.map(() => target),
          distillationTemperature,
        ),
        weight: weights.distillation * rampUp(step.epoch, rampUpEpochs),
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
