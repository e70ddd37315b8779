/** The interface of every method: what a cohort learns from, as extra modules, named loss terms and optional hooks. */
import type { Generator, nn, Tensor } from '@cohort/torch';
import type { Network } from '../models/network.ts';

/** What a method is built from. */
export interface MethodContext {
  readonly networks: readonly Network[];
  readonly classes: number;
  /** Source of the initial weights of the method's own modules. */
  readonly generator: Generator;
  /** Labels of the training images, by index; absent where no images are to be trained on. */
  readonly trainingLabels?: ArrayLike<number>;
}

/** One training step as a method sees it. */
export interface StepInput {
  /** float32 `[B, C, H, W]`. */
  readonly images: Tensor;
  /** int64 `[B]`. */
  readonly labels: Tensor;
  /** Epochs done, from 0. */
  readonly epoch: number;
  /** Positions of the samples among the training images, `[B]`; absent where samples are not from there. */
  readonly indices?: Int32Array;
}

/** A loss term: its value, and what it is multiplied by in the sum. */
export interface LossTerm {
  readonly value: Tensor;
  readonly weight: number;
}

/** A method at work on one cohort. */
export interface Method {
  /** Modules that exist only in training: their parameters are optimised and saved with the networks'. */
  readonly modules: Readonly<Record<string, nn.AnyModule>>;

  /** What a user should know before training starts, e.g. how much memory the method takes. */
  readonly notice?: string | null;

  /** Runs the networks on a batch and names what they are to minimise; called inside a scope. */
  terms(step: StepInput): Record<string, LossTerm>;

  /** Called before every epoch. */
  beforeEpoch?(epoch: number): void;

  /** Called after the optimizer's step. */
  afterStep?(step: StepInput): void;

  /** Looks at an epoch's mean of every term and says in words what a user should know, e.g. that it has collapsed. */
  diagnose?(means: Readonly<Record<string, number>>, batchSize: number): string | undefined;
}
