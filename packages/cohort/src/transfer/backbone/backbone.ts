/** A classifier's stem and stages as the backbone of a detector or segmenter: the same weights under the same names, without the classifier. */
import { nn, scope, type Tensor } from '@cohort-ml/torch';
import { stageChannels } from '../../models/stageChannels.ts';
import type { Network } from '../../models/index.ts';
import { dilate, modulesIn } from './dilation.ts';

/** How a backbone is used. */
export interface BackboneOptions {
  /** Pixels between neighbours of the last map; the network's own stride unless given. */
  readonly outputStride?: number | null;
  /** Keeps batch normalisation as it is: running statistics, weights and biases do not change. */
  readonly frozenNorm?: boolean;
}

/** From images `[B, C, H, W]` to the feature map after each stage. */
export class Backbone extends nn.Module<Tensor, readonly Tensor[]> {
  /** Channels of each map. */
  readonly channels: readonly number[];
  /** Pixels between neighbours of each map. */
  readonly strides: readonly number[];
  readonly #network: Network;
  readonly #isFrozen: boolean;

  /** @throws {TaskError} where the network cannot have such a stride */
  constructor(network: Network, { outputStride = null, frozenNorm = false }: BackboneOptions = {}) {
    super();
    this.channels = stageChannels(network);
    this.strides = dilate(network, outputStride);
    this.#network = network;
    this.#isFrozen = frozenNorm;
    if (frozenNorm) {
      for (const norm of normsIn(network)) {
        norm.weight.requiresGrad = false;
        norm.bias.requiresGrad = false;
      }
    }
    this.train();
  }

  /** The classifier that it was made from, whose last layers are not used. */
  get network(): Network {
    return this.#network;
  }

  override forward(images: Tensor): readonly Tensor[] {
    return scope(() => this.#network.trunk(images, this.#network.stageModules.length, true).stages);
  }

  override *namedChildren(): Generator<[string, nn.AnyModule]> {
    for (const [name, child] of this.#network.namedChildren()) {
      if (child !== this.#network.classifier) yield [name, child];
    }
  }

  override *namedTensors(prefix = ''): Generator<[string, Tensor]> {
    const left = new Set<Tensor>(this.#network.classifier.stateDict().values());
    for (const [name, tensor] of this.#network.namedTensors(prefix)) {
      if (!left.has(tensor)) yield [name, tensor];
    }
  }

  override train(training = true): this {
    this.#network.train(training);
    this.training = training;
    if (this.#isFrozen) for (const norm of normsIn(this.#network)) norm.eval();
    return this;
  }

  override dispose(): void {
    this.#network.dispose();
  }
}

function normsIn(network: Network): nn.BatchNorm2d[] {
  return [...modulesIn(network)].filter((module) => module instanceof nn.BatchNorm2d);
}
