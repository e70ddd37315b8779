/** What the training loop works with, what it reports and where it stands: the types that its parts share. */
import type { optim } from '@cohort-ml/torch';
import type { RepresentationMeasures } from '../../evaluate/representation.ts';
import type { Batches } from '../../data/index.ts';
import type { StepInput } from '../../methods/index.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import type { TrainingState } from '../../checkpoints/checkpointInfo.ts';
import type { Cohort } from '../../cohort/cohort.ts';
import type { GradientClipping } from './gradientClipping.ts';
import type { HeldOutRecord } from './heldOutRecords.ts';
import type { OnlineProbe } from './onlineProbe.ts';
import type { Measured, SplitScores } from './measure.ts';
import type { SelfSupervisedMeasures } from './selfSupervised.ts';
import type { Reporter } from '../../progress/reporter.ts';
import type { TermValues } from './step.ts';

/** The state of a training between two steps, except its tensors. */
export interface LoopProgress extends Pick<
  TrainingState,
  'batch' | 'means' | 'images' | 'trainingMs' | 'diagnosis' | 'guards' | 'earlyStopping' | 'isStoppedEarly'
> {
  /** Epochs done; `batch` counts in the one after them. */
  readonly epoch: number;
  /** Steps done, over all epochs. */
  readonly step: number;
  /** Of the last evaluation. */
  readonly scores: SplitScores;
  /** Mean accuracy of the networks on validation images as they are now; null where it was not measured. */
  readonly validationAccuracy: number | null;
}

/** What the loop records, to be written wherever the caller keeps its runs. */
export interface LoopRecorder {
  step(record: { epoch: number; step: number; values: TermValues }): void;
  epoch(record: { epoch: number; step: number; values: Record<string, number> }): void;
  /** What an evaluation after an epoch found of single images. */
  heldOut?(record: HeldOutRecord & { epoch: number; step: number }): void;
  /**
   * Whether a checkpoint is due by the clock, or wanted because these are the best weights so far.
   * @param validationAccuracy null where it was not just measured
   */
  wantsCheckpoint(validationAccuracy: number | null): boolean;
  /** Takes a checkpoint; `isFinal` waits until it is safe. */
  checkpoint(progress: LoopProgress, isFinal: boolean): Promise<void>;
  /**
   * Goes back to the checkpoint of a step: everything is as it was then, and newer checkpoints are removed.
   * @returns where the training stood; null, with a warning, where the checkpoint cannot be used
   */
  restore(step: number): Promise<LoopProgress | null>;
}

/** What the ranks of a distributed training agree on; each calls the same methods in the same order. */
export interface LoopRanks {
  /** Places of the networks that are trained here. */
  readonly ownNetworks: readonly number[];
  /** The largest of all ranks' numbers. */
  largest(value: number): number;
  /** The sum of all ranks' numbers. */
  readonly sum: (value: number) => number;
  /** Whether networks can be differentiated at the same time. */
  readonly canRunTogether: boolean;
  /** How many images of a batch are contrasted with one another. */
  imagesTogether(batchSize: number): number;
  /** Runs a training step on this rank's part of it. */
  trainingStep<Result>(input: StepInput, body: (input: StepInput) => Result): Result;
  /** Values of the whole batch, from those that this rank has. */
  agreeOnValues(values: TermValues): TermValues;
  /** Completes the gradients that this rank has only a part of; called before they are looked at. */
  completeGradients(cohort: Pick<Cohort, 'networks' | 'method' | 'topology'>): void;
  /** Runs what a method does after the step with this number. */
  afterStep<Result>(cohort: Cohort, step: number, body: () => Result): Result;
}

/** How networks that do not classify images are measured. */
export interface TaskEvaluation {
  /** The measure that stands for a network, as metrics name it: `meanIoU`. In scores it takes the place of the accuracy. */
  readonly scoreName: string;
  /**
   * Measures on validation images where there are any, and then on test images only at the end; in evaluation mode.
   * @returns null when it was stopped half-way
   */
  measure(isLast: boolean, where: string, isStopping: () => boolean): Promise<Measured | null>;
}

/** Everything the loop works with. */
export interface LoopSetup {
  readonly recipe: ResolvedRecipe;
  readonly cohort: Cohort;
  readonly optimizer: optim.Optimizer;
  /** Limits the gradients before every step of the optimizer; null where the recipe does not. */
  readonly clipping?: GradientClipping | null;
  readonly schedule: optim.Schedule;
  readonly training: Batches;
  /** Measured while training; null where there is no validation split and the test images stand in. */
  readonly validation: Batches | null;
  /** Measured once, after the last epoch, if there are validation images. */
  readonly test: Batches;
  /** Images that are neither trained on nor measured, for methods that work on held-out ones. */
  readonly heldOut?: Batches | null;
  /** How the networks of a task other than classification are measured; absent for classifiers. */
  readonly evaluation?: TaskEvaluation | undefined;
  /** Measures embeddings by nearest neighbours every few epochs; null where the recipe does not ask for it. */
  readonly onlineProbe?: OnlineProbe | null;
  /** What a cohort that learns without labels is measured on; null or absent for all others. */
  readonly selfSupervised?: SelfSupervisedMeasures | null;
  readonly reporter: Reporter;
  readonly recorder: LoopRecorder;
  readonly signal: AbortSignal;
  /** Whether the time limit has passed; there is no limit unless given. */
  readonly isTimeOver?: () => boolean;
  /** The other ranks, where the networks are spread over several. */
  readonly ranks?: LoopRanks;
  /** Where to continue; from the beginning unless given. Tensors are as they were then. */
  readonly from?: LoopProgress;
}

/** How a training ended. */
export interface LoopOutcome {
  /** `stopped` at the time limit. */
  readonly status: 'finished' | 'interrupted' | 'stopped';
  readonly epochs: number;
  readonly steps: number;
  /** The epoch whose networks were kept, where early stopping chose it; absent without early stopping. */
  readonly bestEpoch?: number;
  /** Steps left out because they were not finite. */
  readonly skippedSteps: number;
  /** Steps of the method's own, e.g. meta steps, left out for the same reason. */
  readonly skippedMethodSteps: number;
  /** Scores of the last evaluation. */
  readonly scores: SplitScores;
  /** What embeddings were like at the last evaluation; null where none was made since the training was taken up. */
  readonly representations: RepresentationMeasures | null;
  readonly imagesPerSecond: number;
}
