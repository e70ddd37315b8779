/**
 * How a cohort shares layers: as peers, each a network of its own, or as branches of one trunk, the stem and the first
 * stages (as in ONE, Lan et al., arXiv 1806.04606, and CL-ILR, Song and Chai, arXiv 1805.11761).
 */
import { keep, noGrad, scope, type IndependentGraph, type Tensor } from '@cohort/torch';
import { ModelError } from './errors.ts';
import type { Network, NetworkOutput } from './network.ts';

/** Runs all networks of a cohort on one batch. */
export interface Topology {
  /**
   * @param images `[B, C, H, W]`, or one such batch a network
   * @param keepStages whether to give the feature map of every stage
   * @returns one output a network, in the cohort's order
   */
  run(images: Tensor | readonly Tensor[], keepStages?: boolean): NetworkOutput[];

  /**
   * Runs `body` so that inside it outputs of the networks are leaves: after `backward` of what came of them, each network
   * can be differentiated by itself, at the same time as the others. Absent where networks share layers.
   */
  separately?<Result>(body: () => Result): { readonly result: Result; readonly separated: SeparatedOutputs };
}

/** Outputs of networks that were cut off from what was computed of them. Holds tensors until it is disposed of. */
export class SeparatedOutputs {
  readonly #pairs: { readonly outputs: Tensor[]; readonly leaves: Tensor[] }[];

  constructor(readonly networkCount: number) {
    this.#pairs = Array.from({ length: networkCount }, () => ({ outputs: [], leaves: [] }));
  }

  /** The output as a leaf; itself where nothing is recorded. */
  separate(network: number, output: Tensor): Tensor {
    const pair = this.#pairs[network];
    if (pair === undefined || !output.requiresGrad) return output;
    const leaf = output.detach();
    leaf.requiresGrad = true;
    pair.outputs.push(keep(output.alias()));
    pair.leaves.push(keep(leaf.alias()));
    return leaf;
  }

  /** What is left to differentiate: one graph a network, of those whose outputs were used. */
  graphs(): IndependentGraph[] {
    return this.#pairs.flatMap(({ outputs, leaves }) => {
      const used = outputs.flatMap((output, index) => {
        const gradient = leaves[index]?.grad ?? null;
        return gradient === null ? [] : [{ output, gradient }];
      });
      if (used.length === 0) return [];
      return [{ outputs: used.map(({ output }) => output), gradients: used.map(({ gradient }) => gradient) }];
    });
  }

  dispose(): void {
    for (const { outputs, leaves } of this.#pairs) {
      for (const tensor of [...outputs, ...leaves]) tensor.dispose();
    }
  }
}

/** Nothing is shared. */
export class Peers implements Topology {
  #separated: SeparatedOutputs | null = null;

  constructor(private readonly networks: readonly Network[]) {}

  run(images: Tensor | readonly Tensor[], keepStages = false): NetworkOutput[] {
    return this.networks.map((network, index) => {
      const own = viewOf(images, index);
      const output = keepStages ? network.callWithStages(own) : network.call(own);
      const separated = this.#separated;
      if (separated === null) return output;
      const leaf = (tensor: Tensor): Tensor => separated.separate(index, tensor);
      return {
        logits: leaf(output.logits),
        embedding: leaf(output.embedding),
        stages: output.stages.map(leaf),
      };
    });
  }

  separately<Result>(body: () => Result): { result: Result; separated: SeparatedOutputs } {
    const separated = new SeparatedOutputs(this.networks.length);
    const before = this.#separated;
    this.#separated = separated;
    try {
      return { result: body(), separated };
    } catch (error) {
      separated.dispose();
      throw error;
    } finally {
      this.#separated = before;
    }
  }
}

/**
 * Stem and first stages are those of the first network, run once for all. The other networks' tensors of these layers
 * share its memory, so that each network is complete when it is evaluated or saved by itself. Give networks their memory
 * format and dtype before: a conversion afterwards puts their tensors into memory of their own.
 */
export class Branches implements Topology {
  readonly #networks: readonly [Network, ...Network[]];
  readonly #sharedStages: number;

  /**
   * @param networks of one architecture
   * @param sharedStages how many stages beside the stem are shared, from 0 and fewer than there are
   * @throws {ModelError} for networks of several architectures and for stages that there are not.
   */
  constructor(networks: readonly Network[], sharedStages: number) {
    const [first, ...others] = networks;
    const stages = first?.stageModules.length ?? 0;
    if (
      first === undefined ||
      !Number.isInteger(sharedStages) ||
      sharedStages < 0 ||
      sharedStages >= stages
    ) {
      throw new ModelError(
        `topology.sharedStages: expected a whole number from 0 (the stem alone) to ${stages - 1}, since ${first?.constructor.name ?? 'the cohort'} has ${stages} stages and the last is each network's own, got ${sharedStages}.`,
      );
    }
    this.#networks = [first, ...others];
    this.#sharedStages = sharedStages;
    for (const network of others) tieTrunk(first, network, sharedStages);
  }

  run(images: Tensor | readonly Tensor[], keepStages = false): NetworkOutput[] {
    if (!('shape' in images)) {
      throw new ModelError(
        'Branches: expected one batch for the shared trunk, got one a network. Use topology peers for views of their own.',
      );
    }
    const [first] = this.#networks;
    return scope(() => {
      const trunk = first.trunk(images, this.#sharedStages, keepStages);
      return this.#networks.map((network) => network.branch(trunk, keepStages));
    });
  }
}

function viewOf(images: Tensor | readonly Tensor[], network: number): Tensor {
  if ('shape' in images) return images;
  const own = images[network];
  if (own === undefined) {
    throw new ModelError(
      `Peers: expected one batch a network, got ${images.length} and none for network ${network}.`,
    );
  }
  return own;
}

/** Lets the trunk's tensors of `network` share the memory of the owner's. */
function tieTrunk(owner: Network, network: Network, sharedStages: number): void {
  const [theirs, own] = [trunkTensors(owner, sharedStages), trunkTensors(network, sharedStages)];
  const layout = (tensors: readonly [string, Tensor][]): string =>
    tensors.map(([name, { shape }]) => `${name} [${shape.join()}]`).join();
  if (layout(theirs) !== layout(own)) {
    throw new ModelError(
      `topology branches: expected networks of one architecture, since they share layers, got ${owner.constructor.name} and ${network.constructor.name} with other layers. Name one model for all, or use topology peers.`,
    );
  }
  noGrad(() => {
    scope(() => {
      for (const [index, [, tensor]] of own.entries()) {
        const target = theirs[index]?.[1];
        if (target !== undefined) tensor.setData(target.detach());
      }
    });
  });
}

/** Tensors before the first stage that is not shared; state dicts are in the order stem, stages, final layers, classifier. */
function trunkTensors(network: Network, sharedStages: number): [string, Tensor][] {
  const next = network.stageModules[sharedStages];
  const notShared = new Set(next === undefined ? [] : next.stateDict().values());
  const named = [...network.namedTensors()];
  const end = named.findIndex(([, tensor]) => notShared.has(tensor));
  return named.slice(0, end < 0 ? named.length : end);
}
