/** The interface through which training reports what it is doing, so that the loop never writes to a stream itself. */

/** An epoch begins. */
export interface EpochStartEvent {
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly learningRate: number;
}

/** A step is done. */
export interface StepEvent {
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps done in this epoch, from 1. */
  readonly step: number;
  readonly stepsPerEpoch: number;
  /** Of late. */
  readonly imagesPerSecond: number;
  /** Until the end of the training; not finite while unknown. */
  readonly secondsLeft: number;
  /** Value of every loss term, before weighting. */
  readonly terms: Readonly<Record<string, number>>;
}

/** Accuracy of one network on the images that it was measured on. */
export interface NetworkAccuracy {
  readonly name: string;
  /** 0 to 1. */
  readonly accuracy: number;
}

/** An epoch is done. */
export interface EpochEndEvent {
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** How long the epoch took. */
  readonly seconds: number;
  /** In this epoch, without evaluation. */
  readonly imagesPerSecond: number;
  /** Until the end of the training; not finite while unknown. */
  readonly secondsLeft: number;
  readonly learningRate: number;
  /** Mean of every loss term over the epoch, before weighting. */
  readonly terms: Readonly<Record<string, number>>;
  /** What the numbers of networks are, where they are no accuracies: `meanIoU`. */
  readonly scoreName?: string;
  /** Absent in epochs without evaluation. */
  readonly accuracies?: readonly NetworkAccuracy[];
  /** Lower bound of what two networks' embeddings share, in nats; absent where it was not measured. */
  readonly sharedInformation?: number;
  /** How features of two views spread, as means over the networks; absent except for methods that learn without labels. */
  readonly spread?: {
    readonly alignment: number;
    readonly uniformity: number;
    readonly effectiveRank: number;
  };
  /** True where the accuracies are on validation images rather than on test images. */
  readonly areValidation?: boolean;
}

/** Receives news of a training. */
export interface Reporter {
  /** Something worth knowing, in a sentence or a few lines. */
  message(text: string): void;
  /** Something that may need the user to act. */
  warning(text: string): void;
  /** What is under way outside of training, in a few words: redrawn in place where that is possible. */
  progress?(text: string): void;
  epochStart(event: EpochStartEvent): void;
  step(event: StepEvent): void;
  epochEnd(event: EpochEndEvent): void;
}

/** Reports nothing: for tests, and for callers who read the run's metrics instead. */
export class SilentReporter implements Reporter {
  message(): void {
    // Discarded.
  }

  warning(): void {
    // Discarded.
  }

  epochStart(): void {
    // Discarded.
  }

  step(): void {
    // Discarded.
  }

  epochEnd(): void {
    // Discarded.
  }
}
