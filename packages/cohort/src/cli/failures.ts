/** Turns whatever was thrown into one clear message and an exit code: no stack for what a user can mend, all of it for a bug. */

/** Exit codes of `cohort`; `--help` lists them. */
export const EXIT_CODES = {
  ok: 0,
  /** Something that the message says how to mend, or a bug. */
  failure: 1,
  /** The command was written wrongly. */
  usage: 2,
  /** Ctrl-C, by the custom of shells 128 + SIGINT. */
  interrupted: 130,
  /** Asked to end by the system, 128 + SIGTERM. */
  terminated: 143,
} as const;

/** A command that was written wrongly in a way that only its arguments together show. */
export class UsageError extends Error {
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

/**
 * Errors that are the answer to bad input or a bad machine rather than a bug, by name: their classes live behind imports
 * that load the engine, and an error must be told even when the engine cannot be loaded.
 */
const EXPECTED_ERRORS: ReadonlySet<string> = new Set([
  'BenchError',
  'CheckpointError',
  'CompareError',
  'DataError',
  'DivergenceError',
  'EngineLoadError',
  'EngineSetupError',
  'ExportError',
  'MemoryBankError',
  'ModelError',
  'NotFiniteError',
  'OutOfMemoryError',
  'PickleError',
  'RecipeError',
  'ResumeError',
  'RunError',
  'SafetensorsError',
  'StateDictError',
  'WeightsError',
]);

/** System errors that no code can avoid, with what to do. */
const SYSTEM_ADVICE: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'The disk is full: free some space and start again.'],
  ['EDQUOT', 'Your disk quota is used up: free some space and start again.'],
  ['EROFS', 'The disk is mounted read-only: write somewhere else, for example with runs=FOLDER.'],
  ['EACCES', 'Check the permissions of this path.'],
  ['EPERM', 'Check the permissions of this path.'],
  ['EMFILE', 'Too many files are open: raise the limit with ulimit -n.'],
  ['ENOMEM', 'The memory is used up: close other programs or lower train.batchSize.'],
  ['EIO', 'The disk reports a fault.'],
]);

/** What to show for anything thrown. */
export function describeFailure(thrown: unknown): Failure {
  if (!(thrown instanceof Error)) {
    return bug('Error', `something that is not an error was thrown: ${String(thrown)}`, undefined);
  }
  if (thrown.name === 'OverrideSyntaxError' || thrown.name === 'UsageError') {
    return { exitCode: EXIT_CODES.usage, kind: thrown.name, message: thrown.message };
  }
  if (EXPECTED_ERRORS.has(thrown.name)) {
    const problems =
      'problems' in thrown && Array.isArray(thrown.problems) ? { problems: thrown.problems } : {};
    return { exitCode: EXIT_CODES.failure, kind: thrown.name, message: thrown.message, ...problems };
  }
  if ('syscall' in thrown && thrown.syscall === 'uv_cwd') {
    const message = 'The current folder does not exist any more. Go to another one (cd) and start again.';
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

function bug(kind: string, reason: string, stack: string | undefined): Failure {
  const message = `${reason}\nThis is a bug in Cohort; please report it with what follows.`;
  return { exitCode: EXIT_CODES.failure, kind, message, stack: stack ?? '(no stack)' };
}
