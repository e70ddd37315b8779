/** The lock of a run folder: one process at a time writes a run. */
import { dirname, join, resolve } from 'node:path';
import { describeFileError, RunError } from './errors.ts';
import { acquireFileLock, readFileLock, type FileLockState, type HeldFileLock } from './fileLock.ts';
import { stateOf } from './processIdentity.ts';
import { FILES } from './schema.ts';

/**
 * Takes the run for this process. The lock of a process that has died on this machine is taken over; if several try at
 * once, one of them gets it.
 * @throws RunError of kind `locked` that says who has it and what to do; of other kinds for what the file system refuses
 */
export function acquireRunLock(folder: string): HeldFileLock {
  const path = join(resolve(folder), FILES.lock);
  try {
    return acquireFileLock(path, (holder) => locked(path, holder));
  } catch (error) {
    throw describeFileError(error, 'lock the run', path);
  }
}

/**
 * Who holds the run; null where nobody does. A lock whose state is `dead` is left from a process that was killed.
 * @throws RunError of kind `corrupt` for a file that is no lock
 */
export function readRunLock(folder: string): FileLockState | null {
  const path = join(resolve(folder), FILES.lock);
  try {
    const lock = readFileLock(path);
    return lock === null ? null : { ...lock, state: stateOf(lock) };
  } catch (error) {
    throw describeFileError(error, 'read the lock of the run', path);
  }
}

/**
 * Whether a process may be writing the run now. Also true for a lock of another machine, whose processes cannot be
 * seen from here, and for a lock that cannot be read.
 */
export function isRunLive(folder: string): boolean {
  try {
    return (readRunLock(folder)?.state ?? 'dead') !== 'dead';
  } catch (error) {
    if (error instanceof RunError && error.kind === 'corrupt') return true;
    throw error;
  }
}

function locked(path: string, lock: FileLockState): RunError {
  const holder = `process ${lock.pid} on ${lock.host} since ${lock.since}`;
  const remedy =
    lock.state === 'live'
      ? 'Wait until it ends, or stop it.'
      : `This machine cannot see whether that process still runs; remove ${path} if it does not.`;
  return new RunError('locked', path, `cannot lock the run ${dirname(path)}: it is held by ${holder}`, {
    remedy,
  });
}
