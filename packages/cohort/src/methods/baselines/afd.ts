/**
 * Feature-map-level online adversarial knowledge distillation (AFD, Chung et al. 2020, arXiv 2002.01775): besides mutual
 * distillation of logits, each network k has a discriminator that tells its last feature map (fake) from that of the next
 * network (real), and learns to fool it: `L_k = CE_k + T^2 mean_j KL(p_j || p_k) + a (1 - D_k(f_k))^2`, while `D_k`
 * minimises `(1 - D_k(f_{k+1}))^2 + D_k(f_k)^2`. Two networks teach each other; more form a cycle, each learning from one.
 * Where channels differ, a 1x1 convolution (the transfer layer) brings a map to those of the next network.
 *
 * Differences: no program of the authors was found. The paper steps the features by the adversarial loss with an
 * optimizer apart, at 2e-5, where here it is a term of the sum (weights.adversarial, this project's choice) under the
 * networks' optimizer; discriminators have their own as there. Networks and discriminators step at once, each taking
 * the other as constant.
 */
import { nn, optim, type Generator, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import {
  classification,
  type Classification,
  discrimination,
  fooling,
  mutualDistillation,
  rampUp,
} from '../../losses/index.ts';
import { stageChannels, type NetworkOutput } from '../../models/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import { convolution } from '../../models/layers.ts';
import type { LossTerm, Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { lastMaps, logitsOf } from '../parts/outputs.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { defineMethod } from '../definition.ts';
import { lossWeight, rampUpEpochs, softening } from '../parts/settings.ts';
import { notNegative, positive } from '../../support/numberSchemas.ts';
import { at, lastOf } from '../../support/at.ts';

/** Feature-map-level online adversarial knowledge distillation (arXiv 2002.01775). */
const afdSettings = z.strictObject({
  name: z.literal('afd'),
  weights: z
    .strictObject({
      distillation: lossWeight.default(1),
      /** Weight of fooling the discriminators, relative to the losses of the logits. */
      adversarial: lossWeight.default(0.1),
    })
    .prefault({}),
  ...softening(),
  rampUpEpochs: rampUpEpochs(0),
  /** How the discriminators are trained, by AdamW of their own. */
  discriminator: z
    .strictObject({ learningRate: positive.default(2e-5), weightDecay: notNegative.default(0.1) })
    .prefault({}),
});

/** Resolved settings. */
export type AfdSettings = z.output<typeof afdSettings>;

/** A feature map `[B, C, H, W]` to a score `[B, 1]`: near 1 for real, near 0 for fake. */
class Discriminator extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly linear: nn.Linear;

  constructor(channels: number, generator: Generator) {
    super();
    this.conv1 = convolution(channels, channels, 3, generator);
    this.bn1 = new nn.BatchNorm2d(channels);
    this.conv2 = convolution(channels, channels, 3, generator);
    this.bn2 = new nn.BatchNorm2d(channels);
    this.linear = new nn.Linear(channels, 1, generator);
  }

  override forward(map: Tensor): Tensor {
    const first = this.bn1.call(this.conv1.call(map)).leakyRelu(0.2);
    const second = this.bn2.call(this.conv2.call(first)).leakyRelu(0.2);
    return this.linear.call(second.mean([2, 3]));
  }
}

/** One discriminator a network. */
class Discriminators extends nn.Module<readonly Tensor[], Tensor[]> {
  readonly networks: readonly Discriminator[];

  constructor(channels: readonly number[], generator: Generator) {
    super();
    this.networks = channels.map((count) => new Discriminator(count, generator));
  }

  /** Scores of a map a network. */
  override forward(maps: readonly Tensor[]): Tensor[] {
    return maps.map((map, index) =>
      inFullPrecision(at(this.networks, index, 'the discriminators').call(map)),
    );
  }

  /** The same with the discriminators as constants: gradients reach the maps alone. */
  judge(maps: readonly Tensor[]): Tensor[] {
    const parameters = this.parameters();
    for (const parameter of parameters) parameter.requiresGrad = false;
    try {
      return this.call(maps);
    } finally {
      for (const parameter of parameters) parameter.requiresGrad = true;
    }
  }
}

/** Transfer layers, one per network; none where its map has the channels of the next already. */
class Transfers extends nn.Module<readonly Tensor[], Tensor[]> {
  readonly layers: readonly nn.Module[];

  constructor(from: readonly number[], to: readonly number[], generator: Generator) {
    super();
    this.layers = from.map((channels, index) => {
      const wanted = at(to, index, 'the channels');
      return wanted === channels ? new nn.Identity() : convolution(channels, wanted, 1, generator);
    });
  }

  override forward(maps: readonly Tensor[]): Tensor[] {
    return maps.map((map, index) => at(this.layers, index, 'the transfer layers').call(map));
  }
}

/** The items of a list, each in the place of the one before it. */
function next<Item>(items: readonly Item[]): Item[] {
  return [...items.slice(1), ...items.slice(0, 1)];
}

function sum(values: readonly Tensor[]): Tensor {
  return values.reduce((total, value) => total.add(value));
}

/** Networks that learn from logits, and from feature maps by fooling discriminators. */
export class AdversarialDistillation implements Method {
  readonly modules: { readonly transfers: Transfers; readonly discriminators: Discriminators };
  readonly optimizers: { readonly discriminators: optim.Optimizer };
  readonly #topology: Topology;
  readonly #settings: AfdSettings;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: AfdSettings) {
    this.#classification = context.classification ?? classification;
    const { networks, generator } = context;
    this.#topology = context.topology ?? new Peers(networks);
    this.#settings = settings;
    const channels = networks.map((network) => lastOf(stageChannels(network), 'the stages'));
    const discriminators = new Discriminators(next(channels), generator);
    this.modules = { transfers: new Transfers(channels, next(channels), generator), discriminators };
    const optimizer = new optim.AdamW(discriminators.parameters(), settings.discriminator);
    this.optimizers = { discriminators: optimizer };
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature, rampUpEpochs } = this.#settings;
    const outputs = this.#topology.run(step, true);
    const logits = logitsOf(outputs);
    const growth = rampUp(step.epoch, rampUpEpochs);
    return {
      losses: {
        classification: { value: this.#classification(logits, step.labels, step.mix), weight: 1 },
        distillation: {
          value: mutualDistillation(logits, distillationTemperature),
          weight: weights.distillation * growth,
        },
        ...this.#adversarialTerms(outputs, weights.adversarial * growth),
      },
    };
  }

  afterStep(): undefined {
    const { discriminators } = this.optimizers;
    discriminators.step();
    discriminators.zeroGrad();
  }

  #adversarialTerms(outputs: readonly NetworkOutput[], weight: number): Record<string, LossTerm> {
    const { transfers, discriminators } = this.modules;
    // A skipped step may have left some.
    this.optimizers.discriminators.zeroGrad();
    const maps = lastMaps(outputs);
    const fakes = transfers.call(maps);
    const onReal = discriminators.call(next(maps).map((map) => map.detach()));
    const onFake = discriminators.call(fakes.map((map) => map.detach()));
    const judged = discriminators.judge(fakes);
    return {
      adversarial: { value: sum(judged.map(fooling)), weight },
      // The discriminators' own, which reaches nothing else.
      discrimination: {
        value: sum(onReal.map((real, index) => discrimination(real, at(onFake, index, 'the scores')))),
        weight: 1,
      },
    };
  }
}

/** The method, for the registry. */
export const afd = defineMethod({
  settings: afdSettings,
  title: 'feature-map-level online adversarial knowledge distillation',
  paper: 'Chung et al. 2020, arXiv 2002.01775',
  equation: 'CE_i + mean_j KL(p_j || p_i) + a (1 - D_i(f_i))^2',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'discriminators with their own optimizer; transfer layers where widths differ',
  deployed: 'every network',
  crossing: () => ['logits', 'lastStage'],
  create: (context, settings) => new AdversarialDistillation(context, settings),
});
