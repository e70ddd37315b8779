/** Turns whatever was thrown into one clear message and an exit code: no stack for what a user can fix, the whole stack for a bug. */

import { CohortError } from '@cohort-ml/errors';
import { OverrideSyntaxError, RecipeError } from '../recipes/errors.ts';

/** Exit codes of `cohort`; `--help` lists them. */
export const EXIT_CODES = {
  ok: 0,
  /** Bad input or a bad machine, with the fix in the message, or a bug. */
  failure: 1,
  /** Wrong usage of the command line. */
  usage: 2,
  /** Ctrl-C: 128 + SIGINT, as shells do. */
  interrupted: 130,
  /** Stopped by the system: 128 + SIGTERM. */
  terminated: 143,
} as const;

/** Arguments that are each well-formed but do not go together. */
export class UsageError extends CohortError {
  override readonly name = 'UsageError';
}

/** A failure as it is shown. */
export interface Failure {
  readonly exitCode: number;
  /** Name of the error's class. */
  readonly kind: string;
  /** What a person should read. */
  readonly message: string;
  /** Given for a bug only. */
  readonly stack?: string;
  /** Each problem of a recipe, for programs. */
  readonly problems?: readonly unknown[];
}

/** System errors that no code can avoid, with what to do. */
const SYSTEM_ADVICE: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'The disk is full: free some space and try again.'],
  ['EDQUOT', 'Your disk quota is used up: free some space and try again.'],
  ['EROFS', 'The disk is mounted read-only: write somewhere else, for example with runs=FOLDER.'],
  ['EACCES', 'Check the permissions of this path.'],
  ['EPERM', 'Check the permissions of this path.'],
  ['EMFILE', 'Too many files are open: raise the limit with ulimit -n.'],
  ['ENOMEM', 'Out of memory: close other programs or lower train.batchSize.'],
  ['EIO', 'The disk reports a fault.'],
]);

/** What to show for anything thrown. */
export function describeFailure(thrown: unknown): Failure {
  if (!(thrown instanceof Error)) {
    return bug('Error', `a value that is not an error was thrown: ${String(thrown)}`, undefined);
  }
  if (thrown instanceof CohortError && !thrown.isProgrammingError) {
    const problems =
      thrown instanceof RecipeError && thrown.problems.length > 0 ? { problems: thrown.problems } : {};
    return { exitCode: exitCodeOf(thrown), kind: thrown.name, message: thrown.message, ...problems };
  }
  if ('syscall' in thrown && thrown.syscall === 'uv_cwd') {
    const message = 'The current folder no longer exists. Change to another one (cd) and try again.';
    return { exitCode: EXIT_CODES.failure, kind: thrown.name, message };
  }
  if ('code' in thrown && thrown.code === 'ERR_MODULE_NOT_FOUND') {
    const message = `${thrown.message}. A part of Cohort is not built or not installed: run npm install, or npm run setup in a clone of the repository.`;
    return { exitCode: EXIT_CODES.failure, kind: thrown.name, message };
  }
  const code = 'code' in thrown && 'syscall' in thrown ? thrown.code : undefined;
  const advice = typeof code === 'string' ? SYSTEM_ADVICE.get(code) : undefined;
  if (advice !== undefined) {
    return { exitCode: EXIT_CODES.failure, kind: thrown.name, message: `${thrown.message}. ${advice}` };
  }
  return bug(thrown.name, thrown.message, thrown.stack);
}

function exitCodeOf(error: CohortError): number {
  const isUsage = error instanceof UsageError || error instanceof OverrideSyntaxError;
  return isUsage ? EXIT_CODES.usage : EXIT_CODES.failure;
}

function bug(kind: string, reason: string, stack: string | undefined): Failure {
  const message = `${reason}\nThis is a bug in Cohort; please report it with the text below.`;
  return { exitCode: EXIT_CODES.failure, kind, message, stack: stack ?? '(no stack)' };
}
