/** The typed error of reading weights from files and of fitting them to a network. */

import { CohortError } from '@cohort-ml/errors';

/** What kind of trouble a file of weights made; programs branch on this, people read the message. */
export type WeightsErrorKind =
  /** No such file, or one that cannot be read. */
  | 'unreadable'
  /** Neither safetensors nor a checkpoint of PyTorch. */
  | 'format'
  /** Cut off, overlapping, or with a wrong checksum. */
  | 'damaged'
  /** Sound, but of a kind that is not read: TorchScript, compressed archives, sparse tensors. */
  | 'unsupported'
  /** It holds no dictionary of tensors, or several between which the user must choose. */
  | 'dictionary'
  /** Its tensors do not fit the network. */
  | 'mismatch'
  /** Some weights are not finite numbers. */
  | 'notFinite'
  /** A wrong option. */
  | 'argument';

/** The parts of a {@link WeightsError}'s message. */
export interface WeightsErrorDetails {
  /** What was being done, with the file's name: `reading /a/b.pth`. */
  readonly operation: string;
  readonly expected: string;
  readonly received: string;
  /** What the user can do, as a full sentence. */
  readonly remedy: string;
  /** Every tensor that does not fit, for programs. */
  readonly problems?: readonly WeightsProblem[];
  readonly cause?: unknown;
}

/** A tensor that does not fit. */
export interface WeightsProblem {
  readonly problem: 'missing' | 'unexpected' | 'misshapen' | 'mistyped';
  /** In the network for missing and misshapen tensors, in the file for the others. */
  readonly tensor: string;
}

/** Weights that cannot be read, or do not fit what was asked of them. */
export class WeightsError extends CohortError {
  override readonly name = 'WeightsError';
  readonly kind: WeightsErrorKind;
  /** Every tensor that does not fit; empty for other kinds than `mismatch`. */
  readonly problems: readonly WeightsProblem[];

  constructor(kind: WeightsErrorKind, details: WeightsErrorDetails) {
    const { operation, expected, received, remedy, problems = [], cause } = details;
    super({ operation, expected, received, remedy }, { cause });
    this.kind = kind;
    this.problems = problems;
  }
}

/** What to do about a file that cannot have been written like that. */
export const damagedFile = 'The file is damaged: fetch or save it again.';
