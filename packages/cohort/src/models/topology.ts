/**
 * How a cohort shares layers: as peers, each a network of its own, or as branches of one trunk, the stem and the first
 * stages (as in ONE, Lan et al., arXiv 1806.04606, and CL-ILR, Song and Chai, arXiv 1805.11761).
 */
import { noGrad, scope, type nn, type Tensor } from '@cohort/torch';
import { ModelError } from './errors.ts';
import type { Network, NetworkOutput, Trunk } from './network.ts';
import type { StageOutputs } from './refinement.ts';
import { SeparatedOutputs } from './separatedOutputs.ts';

/** Runs all networks of a cohort on one batch. */
export interface Topology {
  /**
   * @param images `[B, C, H, W]`, or one such batch a network
   * @param keepStages whether to give the feature map of every stage
   * @returns one output a network, in the cohort's order
   */
  run(images: Tensor | readonly Tensor[], keepStages?: boolean): NetworkOutput[];

  /**
   * Runs the networks and what refines their stages, which counts as a part of its network where these are differentiated
   * at the same time.
   *
   * @param refine makes of every network's output, stages included, what its stages say; of each by itself
   */
  runRefined(
    images: Tensor | readonly Tensor[],
    refine: (outputs: readonly NetworkOutput[]) => StageOutputs[],
  ): StageOutputs[];

  /**
   * Runs `body` so that inside it outputs of the networks are leaves: after `backward` of what came of them, each network
   * can be differentiated by itself, at the same time as the others. Absent where networks share layers.
   */
  separately?<Result>(body: () => Result): { readonly result: Result; readonly separated: SeparatedOutputs };

  /** Every parameter of the cohort once, whichever networks share it. */
  parameters(): nn.Parameter[];
}

/** Nothing is shared. */
export class Peers implements Topology {
  #separated: SeparatedOutputs | null = null;

  constructor(private readonly networks: readonly Network[]) {}

  run(images: Tensor | readonly Tensor[], keepStages = false): NetworkOutput[] {
    return this.#runWhole(images, keepStages).map(({ logits, embedding, stages }, index) => ({
      logits: this.#leaf(index, logits),
      embedding: this.#leaf(index, embedding),
      stages: stages.map((stage) => this.#leaf(index, stage)),
    }));
  }

  runRefined(
    images: Tensor | readonly Tensor[],
    refine: (outputs: readonly NetworkOutput[]) => StageOutputs[],
  ): StageOutputs[] {
    return refine(this.#runWhole(images, true)).map(({ embeddings, logits }, index) => ({
      embeddings: embeddings.map((embedding) => this.#leaf(index, embedding)),
      logits: logits.map((each) => this.#leaf(index, each)),
    }));
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

  parameters(): nn.Parameter[] {
    return this.networks.flatMap((network) => network.parameters());
  }

  #runWhole(images: Tensor | readonly Tensor[], keepStages: boolean): NetworkOutput[] {
    return this.networks.map((network, index) => {
      const own = viewOf(images, index);
      return keepStages ? network.callWithStages(own) : network.call(own);
    });
  }

  #leaf(network: number, tensor: Tensor): Tensor {
    return this.#separated?.separate(network, tensor) ?? tensor;
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

  /** How many stages beside the stem are shared. */
  get sharedStages(): number {
    return this.#sharedStages;
  }

  run(images: Tensor | readonly Tensor[], keepStages = false): NetworkOutput[] {
    return scope(() => this.runFrom(this.trunks(images, keepStages), keepStages));
  }

  runRefined(
    images: Tensor | readonly Tensor[],
    refine: (outputs: readonly NetworkOutput[]) => StageOutputs[],
  ): StageOutputs[] {
    return refine(this.run(images, true));
  }

  parameters(): nn.Parameter[] {
    const [first, ...others] = this.#networks;
    return [
      ...first.parameters(),
      ...others.flatMap((network) => {
        const shared = new Set<Tensor>(trunkTensors(network, this.#sharedStages).map(([, tensor]) => tensor));
        return network.parameters().filter((parameter) => !shared.has(parameter));
      }),
    ];
  }

  /** What the trunk makes of the images: one for all networks, or one a network where each has a view of its own. */
  trunks(images: Tensor | readonly Tensor[], keepStages = false): Trunk[] {
    const [first] = this.#networks;
    const views = 'shape' in images ? [images] : this.#networks.map((_, index) => viewOf(images, index));
    return views.map((view) => first.trunk(view, this.#sharedStages, keepStages));
  }

  /** Everything after the trunks. */
  runFrom(trunks: readonly Trunk[], keepStages = false): NetworkOutput[] {
    return this.#networks.flatMap((network, index) => {
      const trunk = trunks.length === 1 ? trunks[0] : trunks[index];
      return trunk === undefined ? [] : [network.branch(trunk, keepStages)];
    });
  }
}

/** How many stages may be shared at most: all but the last. */
export function lastStage(networks: readonly Network[]): number {
  return (networks[0]?.stageModules.length ?? 0) - 1;
}

function viewOf(images: Tensor | readonly Tensor[], network: number): Tensor {
  if ('shape' in images) return images;
  const own = images[network];
  if (own === undefined) {
    throw new ModelError(
      `Topology: expected one batch a network, got ${images.length} and none for network ${network}.`,
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
