/** Locks as files: one process at a time holds a lock, and one that a dead process left behind is taken over, by one process only. */
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileErrorCode, RunError } from './errors.ts';
import { removeQuietly, uniqueSuffix } from './files.ts';
import { ownIdentity, stateOf, type ProcessIdentity, type ProcessState } from './processIdentity.ts';
import { isRecord } from './schema.ts';

/** Who holds a lock, as its file says. */
export interface FileLock extends ProcessIdentity {
  /** When it was taken; ISO 8601, UTC. */
  readonly since: string;
  /** Differs from lock to lock, also of one process. */
  readonly token: string;
}

/** A lock that was read, with what has become of its process. */
export interface FileLockState extends FileLock {
  readonly state: ProcessState;
}

/** A lock that this process holds. */
export interface HeldFileLock {
  /** Releases the lock; more calls do nothing. */
  release(): void;
}

/**
 * Takes the lock at `path` for this process. The lock of a process that has died on this machine is taken over; if several
 * try at once, one of them gets it.
 * @param refusal makes the error for a lock that another process holds, or may hold
 * @throws RunError of kind `corrupt` for a file that is no lock; what the file system throws; what `refusal` returns
 */
export function acquireFileLock(path: string, refusal: (holder: FileLockState) => Error): HeldFileLock {
  const own: FileLock = { ...ownIdentity(), since: new Date().toISOString(), token: uniqueSuffix() };
  const temporary = join(dirname(path), `.${basename(path)}.partial-${own.token}`);
  try {
    writeSynced(temporary, `${JSON.stringify(own, null, 2)}\n`);
    while (!place(temporary, path)) {
      const found = readFileLock(path);
      if (found === null) continue;
      const state = stateOf(found);
      if (state !== 'dead') throw refusal({ ...found, state });
      takeOver(path, found, temporary, refusal);
      if (readFileLock(path)?.token === own.token) break;
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
function takeOver(
  path: string,
  dead: FileLock,
  temporary: string,
  refusal: (holder: FileLockState) => Error,
): void {
  const claim = acquireFileLock(join(dirname(path), `.lock-of-${dead.token}.json`), refusal);
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
    return readFileLock(path)?.token ?? null;
  } catch {
    // Not ours to remove or to replace.
    return null;
  }
}

/**
 * The lock at `path`; null where there is none.
 * @throws RunError of kind `corrupt` for a file that is no lock; what the file system throws
 */
export function readFileLock(path: string): FileLock | null {
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
    `cannot read ${path}: it does not name the process that holds the lock`,
    { remedy: 'Remove the file if no process holds it.' },
  );
}

function parseLock(text: string): FileLock | null {
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
