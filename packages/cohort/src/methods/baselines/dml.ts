/**
 * Deep Mutual Learning (Zhang et al. 2018, arXiv 1706.00384): every network learns from the labels and from what each of
 * the others predicts, `L_i = CE_i + 1 / (N - 1) sum_{j != i} KL(p_j || p_i)` (equation 7).
 *
 * Public implementations differ: the authors' softens nothing, as here by default, updates one network after the other,
 * each on a batch of its own, and sums over the others where the equation averages. OKDDip's softens by 3, lets
 * gradients into the targets and by default has the others' mean logits as the one target. MCL-OKD's softens by 2 and,
 * as here, updates all at once towards constant targets.
 */
import * as z from 'zod';
import { classification, type Classification, mutualDistillation, rampUp } from '../../losses/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import type { Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { logitsOf } from '../parts/outputs.ts';
import { defineMethod } from '../definition.ts';
import { distillationWeight, rampUpEpochs, softening } from '../parts/settings.ts';

/** Deep mutual learning (arXiv 1706.00384). */
const dmlSettings = z.strictObject({
  name: z.literal('dml'),
  weights: distillationWeight,
  /** The paper has 1, which is no softening. */
  ...softening(1),
  rampUpEpochs: rampUpEpochs(0),
});

/** Resolved settings. */
export type DmlSettings = z.output<typeof dmlSettings>;

/** Cross-entropy of every network, and its divergence from the others' predictions. */
export class DeepMutualLearning implements Method {
  readonly modules = {};
  readonly #topology: Topology;
  readonly #settings: DmlSettings;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: DmlSettings) {
    this.#classification = context.classification ?? classification;
    this.#topology = context.topology ?? new Peers(context.networks);
    this.#settings = settings;
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature, rampUpEpochs } = this.#settings;
    const logits = logitsOf(this.#topology.run(step));
    return {
      losses: {
        classification: { value: this.#classification(logits, step.labels, step.mix), weight: 1 },
        distillation: {
          value: mutualDistillation(logits, distillationTemperature),
          weight: weights.distillation * rampUp(step.epoch, rampUpEpochs),
        },
      },
    };
  }
}

/** The method, for the registry. */
export const dml = defineMethod({
  settings: dmlSettings,
  title: 'deep mutual learning',
  paper: 'Zhang et al. 2018, arXiv 1706.00384',
  equation: 'CE_i + mean_j KL(p_j || p_i)',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'nothing',
  deployed: 'every network',
  crossing: () => ['logits'],
  create: (context, settings) => new DeepMutualLearning(context, settings),
});
