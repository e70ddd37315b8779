/** The interface of every method: what a cohort learns from, as extra modules, named loss terms and optional hooks. */
import type { Generator, nn, optim, Tensor } from '@cohort-ml/torch';
import type { Classification, MixedLabels } from '../losses/index.ts';
import type { Network, NetworkOutput } from '../models/network.ts';
import type { CohortBatch, Topology } from '../topology/topology.ts';

/** What a method is built from. */
export interface MethodContext {
  readonly networks: readonly Network[];
  /** How the networks are run on a batch; as peers unless given. */
  readonly topology?: Topology;
  readonly classes: number;
  /** Source of the initial weights of the method's own modules. */
  readonly generator: Generator;
  /** Labels of the training images, by index; absent where no images are to be trained on. */
  readonly trainingLabels?: ArrayLike<number>;
  /** Networks like those of the cohort with weights of their own, for methods that keep averages. */
  readonly freshNetworks?: () => readonly Network[];
  /** The cross-entropy that networks learn the labels by; the plain one unless given. */
  readonly classification?: Classification;
  /** Images a step, for methods that say beforehand how much memory a step takes; absent where it is not known. */
  readonly batchSize?: number;
}

/** Images with their labels, as a topology runs networks on them. */
export interface LabelledImages extends CohortBatch {
  /** int64 `[B]`. */
  readonly labels: Tensor;
  /** Second labels, where images were mixed. */
  readonly mix?: MixedLabels;
}

/** One training step as a method sees it. */
export interface StepInput extends LabelledImages {
  /** Epochs done, from 0. */
  readonly epoch: number;
  /** Positions of the samples among the training images, `[B]`; absent where samples are not from there. */
  readonly indices?: Int32Array;
  /** The same images, varied anew: the second view of every image, for methods that learn from two; absent for all others. */
  readonly otherView?: CohortBatch;
  /** How often each sample came earlier in the same epoch, `[B]`; all are the first of their epoch unless given. */
  readonly repeats?: Int32Array;
}

/** What a method may need besides the batch once the optimizer has taken its step. */
export interface StepContext {
  /** Steps done before this one, over all epochs. */
  readonly step: number;
  /** Learning rate that the step was taken with. */
  readonly learningRate: number;
  /** What networks compute in; float32 where it is left out. */
  readonly precision?: 'float32' | 'bfloat16';
  /** Training images of the same epoch that are not those of the step; throws unless `wantsOtherBatch` said so before. */
  readonly otherBatch: () => LabelledImages;
}

/** A loss term: its value, and what it is multiplied by in the sum. */
export interface LossTerm {
  readonly value: Tensor;
  readonly weight: number;
}

/** Where embeddings of different networks can be compared. */
export interface ContrastSpace {
  /** tau: similarities are divided by it. */
  readonly temperature: number;
  /**
   * @param embeddings pooled, one `[B, D]` per network
   * @returns L2-normalised, one `[B, E]` per network, all of one width
   */
  project(embeddings: readonly Tensor[]): Tensor[];
}

/** What a method does with held-out images. */
export interface HeldOutWork {
  /** Takes in one batch; networks are in evaluation mode, and there are no gradients. */
  observe(batch: LabelledImages): void;
  /** Ends it, once all batches were taken in. */
  finish(): void;
}

/** What JSON holds; its numbers come back as they were, bit for bit. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** What one step says: what is minimised, and apart from it what is only looked at. */
export interface StepTerms {
  /** Loss terms by name; the weighted sum is minimised. */
  readonly losses: Readonly<Record<string, LossTerm>>;
  /** Numbers by name that are recorded with the losses and change nothing: tensors `[]`, or plain numbers. */
  readonly measured?: Readonly<Record<string, Tensor | number>>;
}

/** What the next step depends on besides the tensors of `modules` and the state of `optimizers`; checkpoints hold it. */
export interface SavedState {
  /** Anything that JSON holds, e.g. sums that are reported at the end of an epoch. */
  save(): JsonValue;
  /** Puts back what `save` gave: before the first step of a run that is taken up again, and when a step is left out. */
  restore(saved: JsonValue): void;
}

/** What is kept for use once training is over, where that is not simply every network. */
export interface KeptForUse {
  /** The networks that are measured and kept, where they are others than those that are trained: their averages. */
  readonly deployed?: readonly Network[];

  /** Place of the network that the method is about, where the others are there to teach it. */
  readonly leader?: number;

  /**
   * The method's own ensemble, where it is not the mean of the networks' probabilities: logits `[B, classes]`. Called in
   * evaluation mode, without gradients.
   *
   * @param outputs of the networks that are measured
   * @param images `[B, C, H, W]` that they saw
   */
  ensemble?(outputs: readonly NetworkOutput[], images: Tensor): Tensor;
}

/** Work other than the loss: before epochs, between steps, on images that are not trained on. */
export interface WorkAroundSteps {
  /** Called before every epoch, and not again for one that is gone on with in its middle. */
  beforeEpoch?(epoch: number): void;

  /** Whether `afterStep` will ask for another batch after the training step with this number, from 0. */
  wantsOtherBatch?(step: number): boolean;

  /** Whether `afterStep` will run the networks after the training step with this number, from 0; it never does unless given. */
  runsNetworksAfter?(step: number): boolean;

  /**
   * Called after the optimizer's step, inside a scope; what it measured is recorded with the step. A value that is not
   * finite says that it has changed nothing: the training then stops, or goes on and counts it, as the recipe says.
   */
  afterStep?(step: StepInput, context: StepContext): Readonly<Record<string, number>> | undefined;

  /** Done after every epoch but the last, on images that are not trained on. */
  readonly heldOut?: HeldOutWork;
}

/** What a checkpoint holds besides the modules, so that a run that is taken up again goes on bit for bit. */
export interface KeptInCheckpoints {
  /**
   * Optimizers of the method's own, by name, for parameters that do not follow the loss terms. The method steps them
   * itself; the loop's optimizer leaves their parameters alone, and checkpoints hold their state.
   */
  readonly optimizers?: Readonly<Record<string, optim.Optimizer>>;

  /** Left out by methods whose next step depends on tensors alone. */
  readonly state?: SavedState;

  /**
   * For each network, the modules among `modules` that only the network's own outputs pass through, before they are shown to
   * others; a distributed training runs them where the network is. None unless given.
   */
  readonly ofNetworks?: readonly (readonly nn.AnyModule[])[];

  /**
   * Those among `modules` that run inside `topology.runRefined`: where ranks share a batch they see a rank's part of it, and
   * their gradients are added up as those of networks are. None unless given.
   */
  readonly refining?: readonly nn.AnyModule[];
}

/** What a user sees of the method: notices, numbers of an epoch, warnings, the space of its embeddings. */
export interface ShownToUsers {
  /** What a user should know before training starts, e.g. how much memory the method takes. */
  readonly notice?: string | null;

  /** The space in which the method contrasts embeddings; left out by a method that does not. */
  readonly contrastSpace?: ContrastSpace;

  /** What the method gathered over an epoch, for the record; called once at its end. */
  epochMetrics?(): Readonly<Record<string, number>>;

  /** Looks at an epoch's mean of every term and says in words what a user should know, e.g. that it has collapsed. */
  diagnose?(means: Readonly<Record<string, number>>, batchSize: number): string | undefined;
}

/**
 * A method at work on one cohort. Only `modules` and `terms` are required; the optional members are grouped by what they
 * are for in the interfaces that this one extends.
 */
export interface Method extends KeptForUse, WorkAroundSteps, KeptInCheckpoints, ShownToUsers {
  /** Modules that exist only in training: their parameters are optimised and saved with the networks'. */
  readonly modules: Readonly<Record<string, nn.AnyModule>>;

  /** Runs the networks on a batch and names what they are to minimise; called inside a scope. */
  terms(step: StepInput): StepTerms;
}
