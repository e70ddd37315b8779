/**
 * Feature Fusion Learning (FFL, Kim et al. 2019, arXiv 1904.09058): a fusion module joins the networks' last feature maps
 * (concatenation, depthwise and pointwise convolution) to a fused classifier, which teaches the networks and learns from
 * their mean: `L = sum_i CE_i + CE_f + r T^2 [sum_i KL(p_f || p_i) + KL(p(mean_i z_i) || p_f)]`.
 *
 * Public implementations differ: the authors' (T 3, ramp-up over 80 epochs, as here) trains the fusion module with an
 * optimizer of its own and a tenth of the networks' weight decay (1e-5 against 1e-4), here it has that of the networks;
 * it is for two branches of one architecture on a shared trunk, here for any number, widths and sizes of maps, which
 * are pooled to the smallest.
 */
import { nn, ops, type Generator, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import { classification, type Classification, pairedDistillation, rampUp } from '../../losses/index.ts';
import { stageChannels, type NetworkOutput } from '../../models/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import { convolution, depthwise3x3, NormRelu } from '../../models/layers.ts';
import type { Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { lastMaps, logitsOf } from '../parts/outputs.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { defineMethod } from '../definition.ts';
import { lossWeight, rampUpEpochs, softening } from '../parts/settings.ts';
import { lastOf } from '../../support/at.ts';

/** Feature fusion learning (arXiv 1904.09058). */
const fflSettings = z.strictObject({
  name: z.literal('ffl'),
  weights: z
    .strictObject({
      /** Of the networks' distillation from the fused classifier. */
      fused: lossWeight.default(1),
      /** Of the fused classifier's, from the mean of the networks. */
      ensemble: lossWeight.default(1),
    })
    .prefault({}),
  ...softening(),
  rampUpEpochs: rampUpEpochs(80),
});

/** Resolved settings. */
export type FflSettings = z.output<typeof fflSettings>;

/** Feature maps `[B, C_i, H, W]` of all networks to logits `[B, classes]`. */
class FusionModule extends nn.Module<readonly Tensor[]> {
  readonly conv1: nn.Conv2d;
  readonly bn1: NormRelu;
  readonly conv2: nn.Conv2d;
  readonly bn2: NormRelu;
  readonly classifier: nn.Linear;

  constructor(channels: readonly number[], classes: number, generator: Generator) {
    super();
    const all = channels.reduce((sum, count) => sum + count, 0);
    const width = Math.max(...channels);
    this.conv1 = depthwise3x3(all, 1, generator);
    this.bn1 = new NormRelu(all);
    this.conv2 = convolution(all, width, 1, generator);
    this.bn2 = new NormRelu(width);
    this.classifier = new nn.Linear(width, classes, generator);
  }

  override forward(maps: readonly Tensor[]): Tensor {
    const spatial = this.bn1.call(this.conv1.call(ops.cat(maps, 1)));
    const joined = this.bn2.call(this.conv2.call(spatial));
    return this.classifier.call(joined.mean([2, 3]));
  }
}

/** Networks and the classifier on their fused features. */
export class FeatureFusionLearning implements Method {
  readonly modules: { readonly fusion: FusionModule };
  readonly #topology: Topology;
  readonly #settings: FflSettings;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: FflSettings) {
    this.#classification = context.classification ?? classification;
    const { networks, classes, generator } = context;
    this.#topology = context.topology ?? new Peers(networks);
    this.#settings = settings;
    const channels = networks.map((network) => lastOf(stageChannels(network), 'the stages'));
    this.modules = { fusion: new FusionModule(channels, classes, generator) };
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature: temperature, rampUpEpochs } = this.#settings;
    const outputs = this.#topology.run(step, true);
    const logits = logitsOf(outputs);
    const fused = this.#fused(outputs);
    const growth = rampUp(step.epoch, rampUpEpochs);
    return {
      losses: {
        classification: { value: this.#classification([...logits, fused], step.labels, step.mix), weight: 1 },
        fused: {
          value: pairedDistillation(
            logits,
            logits.map(() => fused),
            temperature,
          ),
          weight: weights.fused * growth,
        },
        ensemble: {
          value: pairedDistillation([fused], [ops.stack(logits, 0).mean([0])], temperature),
          weight: weights.ensemble * growth,
        },
      },
    };
  }

  ensemble(_outputs: readonly NetworkOutput[], images: Tensor): Tensor {
    return this.#fused(this.#topology.run({ images }, true));
  }

  #fused(outputs: readonly NetworkOutput[]): Tensor {
    return inFullPrecision(this.modules.fusion.call(lastMaps(outputs)));
  }
}

/** The method, for the registry. */
export const ffl = defineMethod({
  settings: fflSettings,
  title: 'feature fusion learning',
  paper: 'Kim et al. 2019, arXiv 1904.09058',
  equation: 'CE_i + CE_f + KL(p_f || p_i) + KL(p(mean_i z_i) || p_f)',
  topologies: ['branches', 'peers', 'tree'],
  minimumNetworks: 2,
  training: 'a fusion module with its classifier',
  deployed: 'every network; the ensemble is the fused classifier',
  hasEnsemble: true,
  crossing: () => ['logits', 'lastStage'],
  create: (context, settings) => new FeatureFusionLearning(context, settings),
});
