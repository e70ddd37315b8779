/** How a cohort runs on a batch: the interface, and the cohort whose networks share nothing. */
import type { nn, Tensor } from '@cohort-ml/torch';
import { ModelError } from '../models/errors.ts';
import type { Network, NetworkOutput, StageOutputs } from '../models/network.ts';

import { SeparatedOutputs } from './separatedOutputs.ts';

/** Runs all networks of a cohort on one batch. */
export interface Topology {
  /**
   * @param images `[B, C, H, W]`, or one such batch per network
   * @param keepStages whether to return the feature map of every stage
   * @returns one output per network, in the cohort's order
   */
  run(images: Tensor | readonly Tensor[], keepStages?: boolean): NetworkOutput[];

  /**
   * Runs the networks and what refines their stages; the refinement counts as part of its network when networks are
   * differentiated at the same time.
   *
   * @param refine turns every network's output, stages included, into the outputs of its stages; each on its own
   */
  runRefined(
    images: Tensor | readonly Tensor[],
    refine: (outputs: readonly NetworkOutput[]) => StageOutputs[],
  ): StageOutputs[];

  /**
   * Runs `body` so that outputs of the networks are leaves inside it: after `backward` of what was computed from them, each
   * network can be differentiated on its own, at the same time as the others. Absent if networks share layers.
   */
  separately?<Result>(body: () => Result): { readonly result: Result; readonly separated: SeparatedOutputs };

  /** Every parameter of the cohort once, whichever networks share it. */
  parameters(): nn.Parameter[];

  /** The same way to share layers, for other networks of the same architectures. */
  over(networks: readonly Network[]): Topology;
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

  over(networks: readonly Network[]): Peers {
    return new Peers(networks);
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

/** The batch of one network: that which all share, or its own. */
export function viewOf(images: Tensor | readonly Tensor[], network: number): Tensor {
  if ('shape' in images) return images;
  const own = images[network];
  if (own === undefined) {
    throw new ModelError(
      `Topology: expected one batch a network, got ${images.length} and none for network ${network}.`,
    );
  }
  return own;
}
