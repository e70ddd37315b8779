/**
 * Knowledge distillation by On-the-Fly Native Ensemble (ONE, Lan et al. 2018, arXiv 1806.04606): branches of one trunk,
 * and a gate on the trunk's pooled features that weighs their logits to a teacher, `z_e = sum_i g_i z_i`; `L = sum_i CE_i
 * + CE_e + T^2 sum_i KL(p_e || p_i)`. The gate is linear, batch normalisation, ReLU, softmax.
 *
 * Public implementations differ: the authors' detaches the teacher in the divergence, as here, so that the gate learns
 * from the labels alone, softens by 3 and lets the divergence in over 80 epochs. OKDDip's does not detach, and measures
 * the plain mean of the logits as ensemble.
 */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import {
  classification,
  type Classification,
  gatedEnsemble,
  pairedDistillation,
  rampUp,
} from '../../losses/index.ts';
import { ModelError, trunkChannels, type NetworkOutput, type Trunk } from '../../models/index.ts';
import { Branches, lastStage, rowsOf } from '../../topology/index.ts';
import type { Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { logitsOf } from '../parts/outputs.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { defineMethod } from '../definition.ts';
import { distillationWeight, rampUpEpochs, softening } from '../parts/settings.ts';

/** On-the-fly native ensemble (arXiv 1806.04606). */
const oneSettings = z.strictObject({
  name: z.literal('one'),
  weights: distillationWeight,
  ...softening(),
  rampUpEpochs: rampUpEpochs(80),
});

/** Resolved settings. */
export type OneSettings = z.output<typeof oneSettings>;

/** Pooled trunk features `[B, C]` to a score for each branch, `[B, N]`, before softmax. */
export class Gate extends nn.Module {
  readonly linear: nn.Linear;
  readonly norm: nn.BatchNorm1d;

  constructor(channels: number, networks: number, generator: Generator) {
    super();
    this.linear = new nn.Linear(channels, networks, generator);
    this.norm = new nn.BatchNorm1d(networks);
  }

  override forward(features: Tensor): Tensor {
    return this.norm.call(this.linear.call(features)).relu();
  }
}

/** Branches that learn from their gated ensemble. */
export class NativeEnsemble implements Method {
  readonly modules: { readonly gate: Gate };
  readonly #topology: Branches;
  readonly #settings: OneSettings;
  readonly #classification: Classification;

  /** @throws {ModelError} for networks that share nothing: there is no trunk for the gate to look at. */
  constructor(context: MethodContext, settings: OneSettings) {
    this.#classification = context.classification ?? classification;
    const { networks, generator } = context;
    const topology = context.topology ?? new Branches(networks, lastStage(networks));
    const [first] = networks;
    if (!(topology instanceof Branches) || first === undefined) {
      throw new ModelError(
        'method one: expected topology branches, since its gate looks at the shared trunk, got peers. Leave topology out of the recipe, or set topology.name to branches.',
      );
    }
    this.#topology = topology;
    this.#settings = settings;
    const channels = trunkChannels(first, topology.sharedStages);
    this.modules = { gate: new Gate(channels, networks.length, generator) };
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature, rampUpEpochs } = this.#settings;
    const trunks = this.#topology.trunks(step);
    const scores = this.#scores(trunks, rowsOf(step));
    const logits = logitsOf(this.#topology.runFrom(trunks, rowsOf(step)));
    const teacher = gatedEnsemble(logits, scores);
    return {
      losses: {
        classification: {
          value: this.#classification([...logits, teacher], step.labels, step.mix),
          weight: 1,
        },
        distillation: {
          value: pairedDistillation(
            logits,
            logits.map(() => teacher),
            distillationTemperature,
          ),
          weight: weights.distillation * rampUp(step.epoch, rampUpEpochs),
        },
      },
    };
  }

  ensemble(outputs: readonly NetworkOutput[], images: Tensor): Tensor {
    return gatedEnsemble(
      logitsOf(outputs),
      this.#scores(this.#topology.trunks({ images }), rowsOf({ images })),
    );
  }

  /** Of several views, the gate looks at the mean of their features. */
  #scores(trunks: readonly Trunk[], rows: number): Tensor {
    const [first, ...others] = trunks.map(({ features }) => inFullPrecision(features.mean([2, 3]))); // [B, C]
    if (first === undefined) throw new RangeError('NativeEnsemble: expected a trunk, got none');
    const pooled = others.reduce((sum, each) => sum.add(each), first).div(trunks.length);
    // Its batch normalisation sees the whole batch on every rank.
    return inFullPrecision(this.modules.gate.call(this.#topology.wholeRows(pooled, rows)));
  }
}

/** The method, for the registry. */
export const one = defineMethod({
  settings: oneSettings,
  title: 'on-the-fly native ensemble',
  paper: 'Lan et al. 2018, arXiv 1806.04606',
  equation: 'CE_i + CE_e + KL(p_e || p_i), z_e = sum_i gate_i z_i',
  topologies: ['branches'],
  minimumNetworks: 2,
  runsTrunks: true,
  training: 'a gate: linear, batch norm, ReLU, softmax',
  deployed: 'every network; the ensemble is the gated one',
  hasEnsemble: true,
  create: (context, settings) => new NativeEnsemble(context, settings),
});
