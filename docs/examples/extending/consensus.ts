/** Consensus distillation: every network also learns from the mean of all networks' logits. */
import { noGrad, ops } from '@cohort-ml/torch';
import {
  classification,
  defineMethod,
  logitsOf,
  Peers,
  rampUp,
  targetDistillation,
  type Method,
  type MethodContext,
  type StepInput,
  type StepTerms,
} from 'cohort-ml';
import * as z from 'zod';

const settings = z.strictObject({
  name: z.literal('consensus'),
  /** Weight of the distillation; the cross-entropy counts 1. */
  weight: z.number().min(0).default(1),
  /** Softens both sides of the divergence, which counts its square. */
  distillationTemperature: z.number().positive().default(3),
  /** Epochs over which the distillation grows to its weight. */
  rampUpEpochs: z.int().min(0).default(0),
});

type ConsensusSettings = z.output<typeof settings>;

class Consensus implements Method {
  /** What is trained besides the networks: nothing here. */
  readonly modules = {};

  constructor(
    private readonly context: MethodContext,
    private readonly settings: ConsensusSettings,
  ) {}

  terms(step: StepInput): StepTerms {
    const { networks, topology = new Peers(networks), classification: loss = classification } = this.context;
    const { weight, distillationTemperature, rampUpEpochs } = this.settings;
    const logits = logitsOf(topology.run(step)); // [B, classes] per network, float32
    const consensus = ops.stack(logits, 0).mean([0]);
    const winners = noGrad(() => ops.stack(logits, 0).argmax(2)); // [N, B]
    return {
      losses: {
        classification: { value: loss(logits, step.labels, step.mix), weight: 1 },
        distillation: {
          value: targetDistillation(logits, [consensus], distillationTemperature),
          weight: weight * rampUp(step.epoch, rampUpEpochs),
        },
      },
      // Recorded with the losses, but not minimised: how often all networks name the same class.
      measured: {
        agreement: winners
          .eq(winners.narrow(0, 0, 1))
          .all(0)
          .to('float32')
          .mean(),
      },
    };
  }
}

export const consensus = defineMethod({
  settings,
  title: 'consensus distillation',
  paper: 'the example of docs/extending.md',
  equation: 'CE_i + KL(p(mean_j z_j) || p_i)',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'nothing',
  deployed: 'every network',
  create: (context, own) => new Consensus(context, own),
});
