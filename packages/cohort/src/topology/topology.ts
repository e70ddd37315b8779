/** How a cohort runs on a batch: the interface, and the cohort whose networks share nothing. */
import { sideBySide, type nn, type Tensor } from '@cohort-ml/torch';
import { ModelError } from '../models/errors.ts';
import type { Network, NetworkOutput, StageOutputs } from '../models/network.ts';
import type { CrossingOutput } from './distributed/distribution.ts';
import type { SeparatedOutputs } from './separatedOutputs.ts';
import { at } from '../support/at.ts';

/** What a cohort is run on. */
export interface CohortBatch {
  /** float32 `[B, C, H, W]`. */
  readonly images: Tensor;
  /** The images as each network sees them, where every one has a view of its own. */
  readonly views?: readonly Tensor[];
  /**
   * Where given, a topology that is separable hands out the networks' outputs as leaves and notes here what they are of:
   * after `backward` of what came of them, each network can be differentiated by itself, at the same time as the others.
   */
  readonly separated?: SeparatedOutputs;
  /** Whether networks that share nothing are given to streams of their own, where the device has streams. */
  readonly onStreams?: boolean;
}

/** The images of a batch and nothing else, for networks that are run alongside those that are trained. */
export function imagesOf({ images, views }: CohortBatch): CohortBatch {
  return views === undefined ? { images } : { images, views };
}

/**
 * Turns networks' outputs, stages included, into the outputs of their stages, each on its own.
 *
 * @param outputs of the networks that are run here
 * @param places of these networks in the cohort
 */
export type Refine = (outputs: readonly NetworkOutput[], places: readonly number[]) => StageOutputs[];

/** Runs all networks of a cohort on one batch. */
export interface Topology {
  /** Whether networks share nothing, so that `separated` of a batch is heeded; elsewhere it changes nothing. */
  readonly isSeparable: boolean;

  /**
   * @param keepStages whether to give the feature map of every stage
   * @returns one output a network, in the cohort's order
   */
  run(batch: CohortBatch, keepStages?: boolean): NetworkOutput[];

  /**
   * Runs the networks and what refines their stages; the refinement counts as part of its network when networks are
   * differentiated at the same time.
   */
  runRefined(batch: CohortBatch, refine: Refine): StageOutputs[];

  /**
   * Computes a tensor of each network's outputs alone, where the network is.
   *
   * @param outputs of all networks, in the cohort's order
   * @returns one tensor per network; those of networks on other ranks are constants
   */
  ofEach<Output>(outputs: readonly Output[], compute: (output: Output, network: number) => Tensor): Tensor[];

  /**
   * Computes the parts of a sum, each of which needs one network's logits alone: where the network is.
   *
   * @param logits of all networks, in the cohort's order
   * @param compute a scalar `[]`
   * @returns one scalar per network; those of networks on other ranks are constants
   */
  parts(logits: readonly Tensor[], compute: (logits: Tensor) => Tensor): Tensor[];

  /** Completes the gradients of layers that ranks share; called after `backward` in a training on several ranks. */
  passBack?(): void;

  /** Forgets what a training step has left for `passBack`; called at its end, in any case. */
  forget?(): void;

  /** Every parameter of the cohort once, whichever networks share it. */
  parameters(): nn.Parameter[];

  /**
   * The same way to share layers, for other networks of the same architectures.
   *
   * @param crossing their outputs that cross between ranks; only logits unless given
   */
  over(networks: readonly Network[], crossing?: readonly CrossingOutput[]): Topology;
}

/** Nothing is shared. */
export class Peers implements Topology {
  readonly isSeparable = true;

  constructor(private readonly networks: readonly Network[]) {}

  run(batch: CohortBatch, keepStages = false): NetworkOutput[] {
    return this.#runWhole(batch, keepStages).map(({ logits, embedding, stages }, index) => ({
      logits: leaf(batch, index, logits),
      embedding: leaf(batch, index, embedding),
      stages: stages.map((stage) => leaf(batch, index, stage)),
    }));
  }

  runRefined(batch: CohortBatch, refine: Refine): StageOutputs[] {
    const places = this.networks.map((_, index) => index);
    const whole = this.#runWhole(batch, true);
    const refined =
      batch.onStreams === true
        ? sideBySide(
            whole.length,
            (index) => refine([at(whole, index, 'the outputs')], [index]),
            tensorsOfStages,
          ).flat()
        : refine(whole, places);
    return refined.map(({ embeddings, logits }, index) => ({
      embeddings: embeddings.map((embedding) => leaf(batch, index, embedding)),
      logits: logits.map((each) => leaf(batch, index, each)),
    }));
  }

  ofEach<Output>(outputs: readonly Output[], compute: (output: Output, network: number) => Tensor): Tensor[] {
    return outputs.map(compute);
  }

  parts(logits: readonly Tensor[], compute: (logits: Tensor) => Tensor): Tensor[] {
    return logits.map((each) => compute(each));
  }

  parameters(): nn.Parameter[] {
    return this.networks.flatMap((network) => network.parameters());
  }

  over(networks: readonly Network[]): Peers {
    return new Peers(networks);
  }

  #runWhole(batch: CohortBatch, keepStages: boolean): NetworkOutput[] {
    const run = (index: number): NetworkOutput => {
      const network = at(this.networks, index, 'the networks');
      const own = viewOf(batch, index);
      return keepStages ? network.callWithStages(own) : network.call(own);
    };
    if (batch.onStreams === true) return sideBySide(this.networks.length, run, tensorsOf);
    return this.networks.map((_, index) => run(index));
  }
}

function tensorsOf({ logits, embedding, stages }: NetworkOutput): Tensor[] {
  return [logits, embedding, ...stages];
}

function tensorsOfStages(outputs: readonly StageOutputs[]): Tensor[] {
  return outputs.flatMap(({ embeddings, logits }) => [...embeddings, ...logits]);
}

/** The output itself, or a leaf in its place where the batch asks for these. */
export function leaf({ separated }: CohortBatch, network: number, output: Tensor): Tensor {
  return separated?.separate(network, output) ?? output;
}

/** How many images a batch has. */
export function rowsOf({ images }: CohortBatch): number {
  return images.shape[0] ?? 0;
}

/** The images of one network: those that all share, or its own. */
export function viewOf({ images, views }: CohortBatch, network: number): Tensor {
  if (views === undefined) return images;
  const own = views[network];
  if (own === undefined) {
    throw new ModelError(
      `Topology: expected one batch per network, got ${views.length} and none for network ${network}.`,
    );
  }
  return own;
}
