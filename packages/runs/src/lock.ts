/** The lock of a run folder: one process at a time writes a run; what a dead one left is taken over, by one process only. */
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { describeFileError, fileErrorCode, RunError } from './errors.ts';
import { removeQuietly, uniqueSuffix } from './files.ts';
import { ownIdentity, stateOf, type ProcessIdentity, type ProcessState } from './processIdentity.ts';
import { FILES, isRecord } from './schema.ts';

/** Who holds a run, as `lock.json` says. */
export interface RunLock extends ProcessIdentity {
  /** When it was taken; ISO 8601, UTC. */
  readonly since: string;
  /** Differs from lock to lock, also of one process. */
  readonly token: string;
}

/** A lock that was read, with what has become of its process. */
export interface RunLockState extends RunLock {
  readonly state: ProcessState;
}

/** A lock that this process holds. */
export interface HeldRunLock {
  /** Gives the run free; more calls do nothing. */
  release(): void;
}

/**
 * Takes the run for this process. The lock of a process that has died on this machine is taken over; if several try at
 * once, one of them gets it.
 * @throws RunError of kind `locked` that says who has it and what to do; of other kinds for what the file system refuses
 */
export function acquireRunLock(folder: string): HeldRunLock {
  const path = join(resolve(folder), FILES.lock);
  try {
    return acquire(path);
  } catch (error) {
    throw describeFileError(error, 'lock the run', path);
  }
}

/**
 * Who holds the run; null where nobody does. A lock whose state is `dead` is left from a process that was killed.
 * @throws RunError of kind `corrupt` for a file that is no lock
 */
export function readRunLock(folder: string): RunLockState | null {
  const path = join(resolve(folder), FILES.lock);
  try {
    const lock = readLock(path);
    return lock === null ? null : { ...lock, state: stateOf(lock) };
  } catch (error) {
    throw describeFileError(error, 'read the lock of the run', path);
  }
}

/**
 * Whether a process may be writing the run now. True as well for a lock of another machine, where nobody here can look,
 * and for one that cannot be read.
 */
export function isRunLive(folder: string): boolean {
  try {
    return (readRunLock(folder)?.state ?? 'dead') !== 'dead';
  } catch (error) {
    if (error instanceof RunError && error.kind === 'corrupt') return true;
    throw error;
  }
}

function acquire(path: string): HeldRunLock {
  const own: RunLock = { ...ownIdentity(), since: new Date().toISOString(), token: uniqueSuffix() };
  const temporary = join(dirname(path), `.${basename(path)}.partial-${own.token}`);
  try {
    writeSynced(temporary, `${JSON.stringify(own, null, 2)}\n`);
    while (!place(temporary, path)) {
      const found = readLock(path);
      if (found === null) continue;
      const state = stateOf(found);
      if (state !== 'dead') throw locked(path, found, state);
      takeOver(path, found, temporary);
      if (readLock(path)?.token === own.token) break;
    }
  } finally {
    removeQuietly(temporary);
  }
  return {
    release: () => {
      if (tokenAt(path) === own.token) removeQuietly(path);
    },
  };
}

/**
 * Puts the new lock where a dead one lies. Its token is locked first, in the same way: of all who see the dead lock, only
 * one gets that far, and it looks again before it replaces anything.
 */
function takeOver(path: string, dead: RunLock, temporary: string): void {
  const claim = acquire(join(dirname(path), `.lock-of-${dead.token}.json`));
  try {
    if (tokenAt(path) === dead.token) renameSync(temporary, path);
  } finally {
    claim.release();
  }
}

/** Whole content and exclusive name in one move; false if the name is taken. */
function place(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === 'EEXIST') return false;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error;
  }
  // A file system without hard links: exclusive as well, though not whole at once.
  try {
    writeFileSync(path, readFileSync(temporary), { flag: 'wx' });
    return true;
  } catch (error) {
    if (fileErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function writeSynced(path: string, text: string): void {
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function tokenAt(path: string): string | null {
  try {
    return readLock(path)?.token ?? null;
  } catch {
    // Not ours to remove or to replace.
    return null;
  }
}

function readLock(path: string): RunLock | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return null;
    throw error;
  }
  const lock = parseLock(text);
  if (lock !== null) return lock;
  throw new RunError(
    'corrupt',
    path,
    `cannot read ${path}: it does not say which process holds the run: if no process trains it, remove the file`,
  );
}

function parseLock(text: string): RunLock | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const { pid, host, processStart, since, token } = value;
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1) return null;
  if (typeof host !== 'string' || typeof since !== 'string') return null;
  // It becomes a part of a file's name.
  if (typeof token !== 'string' || !/^[0-9a-f]+$/.test(token)) return null;
  return { pid, host, since, token, processStart: typeof processStart === 'string' ? processStart : null };
}

function locked(path: string, lock: RunLock, state: ProcessState): RunError {
  const holder = `process ${lock.pid} on ${lock.host} since ${lock.since}`;
  const remedy =
    state === 'live'
      ? 'wait until it ends, or stop it'
      : `this machine cannot see whether that process still runs: if it does not, remove ${path}`;
  return new RunError(
    'locked',
    path,
    `cannot lock the run ${dirname(path)}: it is held by ${holder}: ${remedy}`,
  );
}
