/** The typed error of everything that reads, selects or decodes data: it says what was done, expected, found, and the fix. */

import { CohortError } from '@cohort-ml/errors';

/** What kind of trouble the data made; programs branch on this, people read the message. */
export type DataErrorKind =
  | 'missing'
  | 'unreadable'
  | 'truncated'
  | 'trailing'
  | 'format'
  | 'corrupt'
  | 'tooLarge'
  | 'mismatch'
  | 'label'
  | 'empty'
  | 'unknownDataset'
  | 'argument'
  | 'decode'
  /** A server that cannot be reached or does not give the file. */
  | 'network'
  /** A download that is not the file that its site describes. */
  | 'checksum'
  /** A folder that cannot be written to, or a full disk. */
  | 'unwritable'
  /** Another process is doing the same. */
  | 'busy'
  /** A program that is needed is missing or failed. */
  | 'tool';

/** The parts of a {@link DataError}'s message. */
export interface DataErrorDetails {
  /** What was being done, with the file or dataset's name: `reading IDX file /a/b.gz`. */
  operation: string;
  expected: string;
  received: string;
  /** What the user can do, as a full sentence. */
  remedy: string;
  /** The file concerned, if there is one. */
  path?: string;
  /** The lower error that led here. */
  cause?: unknown;
}

/** Data that is missing, damaged, or does not fit what was asked of it. */
export class DataError extends CohortError {
  override readonly name = 'DataError';
  readonly kind: DataErrorKind;
  readonly path: string | undefined;
  /** What is wrong, in a few words, for lists of many files. */
  readonly reason: string;

  constructor(kind: DataErrorKind, details: DataErrorDetails) {
    const { operation, expected, received, remedy, path, cause } = details;
    super({ operation, expected, received, remedy }, { cause });
    this.kind = kind;
    this.path = path;
    this.reason = kind === 'tooLarge' ? `too large (expected ${expected})` : received;
  }
}
