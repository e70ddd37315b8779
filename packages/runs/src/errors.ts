/** The typed error of this package and the translation of file system errors into it, so that every failure names its path and its remedy. */

import { CohortError, errorCode, errorText, type CohortErrorOptions } from '@cohort-ml/errors';

/** What went wrong, for code that has to tell cases apart; the message is for people. */
export type RunErrorKind =
  /** The folder or file is not there. */
  | 'missing'
  /** The path is there, but it is no run folder. */
  | 'not-a-run'
  /** The run folder has a schema version that this Cohort does not know. */
  | 'newer-version'
  /** A file of the run folder does not hold what it should. */
  | 'corrupt'
  /** The run has no checkpoint of that name. */
  | 'missing-checkpoint'
  /** Another process writes the run. */
  | 'locked'
  /** The database of runs cannot be used, or is another program's. */
  | 'store'
  /** No space, or no quota, is left. */
  | 'disk-full'
  /** A read-only file system, or no rights to the place. */
  | 'read-only'
  /** The caller gave a value that cannot be recorded. */
  | 'invalid'
  /** The run was written to after it had ended. */
  | 'ended'
  /** Any other failure of the file system. */
  | 'io';

/** An error of a run folder: the message says the operation, the path, the reason and what to do. */
export class RunError extends CohortError {
  override readonly name = 'RunError';
  /** What went wrong. */
  readonly kind: RunErrorKind;
  /** The file or folder that it is about. */
  readonly path: string;

  /**
   * @param problem what could not be done and why, as one sentence without its full stop
   * @param options.remedy what to do about it, as one or more full sentences
   */
  constructor(
    kind: RunErrorKind,
    path: string,
    problem: string,
    options: Pick<CohortErrorOptions, 'cause' | 'remedy'> = {},
  ) {
    super(problem, options);
    this.kind = kind;
    this.path = path;
  }
}

/** What the caller knows that makes a message more useful. */
export interface FileErrorContext {
  /** The newest checkpoint that is safe, null if none was written; left out where checkpoints play no part. */
  lastGoodCheckpoint?: string | null;
}

/** A wrapped error is looked for this deep: libraries wrap once or twice, and a cycle must end. */
const CAUSES_SEARCHED = 5;

/** The system's code of a file error (`ENOSPC`), its causes included; null if no file error is in it. */
export function fileErrorCode(error: unknown): string | null {
  let current = error;
  for (let depth = 0; depth < CAUSES_SEARCHED && current instanceof Error; depth++) {
    // Node's own errors have a code too (ERR_INVALID_ARG_TYPE); those are bugs, not file errors.
    const code = errorCode(current);
    if (code !== undefined && /^E[A-Z0-9]+$/.test(code)) return code;
    current = current.cause;
  }
  return null;
}

/**
 * Turns what a file operation threw into a `RunError` that names the operation, the path and the remedy.
 * A `RunError` is handed back as it is.
 * @param what the operation as it reads after "cannot", for example `write the checkpoint "last"`
 * @param path the file or folder that the operation was about
 */
export function describeFileError(
  error: unknown,
  what: string,
  path: string,
  context: FileErrorContext = {},
): RunError {
  if (error instanceof RunError) return error;
  const build = (kind: RunErrorKind, reason: string, remedy: string): RunError =>
    new RunError(kind, path, `cannot ${what}: ${reason}`, { cause: error, remedy });

  const code = fileErrorCode(error);
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return build(
        'disk-full',
        code === 'ENOSPC' ? `the disk that holds ${path} is full` : `the disk quota for ${path} is used up`,
        'Free some space there or choose a folder on another disk, then start again.' +
          lastGoodSentence(context.lastGoodCheckpoint),
      );
    case 'EROFS':
      return build(
        'read-only',
        `${path} is on a read-only file system (EROFS)`,
        'Choose a folder that can be written to, or remount it.',
      );
    case 'EACCES':
    case 'EPERM':
      return build(
        'read-only',
        `there is no permission for ${path} (${code})`,
        'Change its owner or its mode, or choose another folder.',
      );
    case 'ENOENT':
      return build('missing', `${path} does not exist`, 'Check the path.');
    case 'ENOTDIR':
      return build('missing', `a part of ${path} is a file where a folder was expected`, 'Check the path.');
    case 'EEXIST':
      return build('io', `${path} is a file where a folder was expected`, 'Choose another folder.');
    case 'EMFILE':
    case 'ENFILE':
      return build(
        'io',
        `too many files are open (${code}) at ${path}`,
        'Raise the limit (ulimit -n) and try again.',
      );
    case null:
    default:
      return build('io', `${path}: ${errorText(error)}`, 'Check the path and the disk, then try again.');
  }
}

function lastGoodSentence(lastGoodCheckpoint: string | null | undefined): string {
  if (lastGoodCheckpoint === undefined) return '';
  if (lastGoodCheckpoint === null) return ' No checkpoint had been written yet.';
  return ` The last good checkpoint is ${lastGoodCheckpoint}.`;
}
