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

  /** A stage whose map is the one after its first block, as some heads were published; null for none. */
  earlyStage: number | null = null;

  override forward(images: Tensor): readonly Tensor[] {
    const { stageModules } = this.#network;
    return scope(() => {
      const early = this.earlyStage;
      const stage = early === null ? undefined : stageModules[early];
      if (early === null || !(stage instanceof nn.Sequential)) {
        return this.#network.trunk(images, stageModules.length, true).stages;
      }
      const before = this.#network.trunk(images, early, true);
      const [first, ...rest] = stage.layers;
      const map = first?.call(before.features) ?? before.features;
      const features = rest.reduce((input, layer) => layer.call(input), map);
      const trunk = { features, stages: [...before.stages, map], stageCount: early + 1 };
      return this.#network.extend(trunk, stageModules.length, true).stages;
    });
  }

  override *namedChildren(): Generator<[string, nn.AnyModule]> {
    const { headModules } = this.#network;
    for (const [name, child] of this.#network.namedChildren()) {
      if (!headModules.includes(child)) yield [backboneName(this.#network, name), child];
    }
  }

  override *namedTensors(prefix = ''): Generator<[string, Tensor]> {
    for (const [name, tensor] of backboneTensors(this.#network)) yield [`${prefix}${name}`, tensor];
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

function backboneName({ backbonePrefix }: Network, name: string): string {
  return name.startsWith(backbonePrefix) ? name.slice(backbonePrefix.length) : name;
}

/** Parameters and buffers of a classifier as a backbone has them: under published names, without the classifier itself. */
export function* backboneTensors(network: Network): Generator<[string, Tensor]> {
  const left = new Set<Tensor>(network.headModules.flatMap((module) => [...module.stateDict().values()]));
  for (const [name, tensor] of network.namedTensors()) {
    if (!left.has(tensor)) yield [backboneName(network, name), tensor];
  }
}

function normsIn(network: Network): nn.BatchNorm2d[] {
  return [...modulesIn(network)].filter((module) => module instanceof nn.BatchNorm2d);
}
