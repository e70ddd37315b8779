/** The one error of reading pickles: what was expected and received, where, and what to do; nothing is ever executed. */

import { CohortError } from '@cohort-ml/errors';

/** What is wrong with a pickle; programs branch on this, people read the message. */
export type PickleErrorKind =
  /** The bytes end before the pickle does. */
  | 'truncated'
  /** The bytes are no pickle, or one that no Python would write. */
  | 'format'
  /** It names a class or function that is not known to be plain data: loading it in Python could run code. */
  | 'global'
  /** It is intact, but contains something that is not supported. */
  | 'unsupported'
  /** It would take far more memory than its bytes, or is nested too deeply, or contains itself. */
  | 'limit';

/** The parts of a {@link PickleError}'s message. */
export interface PickleErrorDetails {
  /** What was being read: `/a/b.pth`. */
  readonly source: string;
  readonly expected: string;
  readonly received: string;
  /** What the user can do, as a full sentence. */
  readonly remedy: string;
  /** The refused class or function: `os.system`; kind `global` only. */
  readonly global?: string;
  readonly cause?: unknown;
}

/** A pickle that was refused. */
export class PickleError extends CohortError {
  override readonly name = 'PickleError';
  readonly kind: PickleErrorKind;
  /** The class or function that was refused, as `module.name`; undefined for other kinds. */
  readonly global: string | undefined;

  constructor(kind: PickleErrorKind, details: PickleErrorDetails) {
    const { source, expected, received, remedy, global, cause } = details;
    super({ operation: `reading the pickle of ${source}`, expected, received, remedy }, { cause });
    this.kind = kind;
    this.global = global;
  }
}

/** What to do about bytes that cannot have been written like that on purpose. */
export const damagedPickle = 'The file is damaged, or is not what its name says: fetch or save it again.';

/** Text from a file for a message: short, and with everything escaped that could disturb a terminal. */
export function quotedText(text: string, limit = 80): string {
  const shortened = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return JSON.stringify(shortened).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
