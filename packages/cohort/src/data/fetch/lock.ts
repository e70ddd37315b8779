/** Keeps two processes from fetching the same dataset into the same folder at the same time. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DataError, errorCode } from '../errors.ts';
import { writeError } from './files.ts';

/**
 * Takes the lock at `path`, also from a process that has died with it.
 * @returns a function that gives it back.
 * @throws {@link DataError} `busy` while another process has it, `unwritable`.
 */
export function takeLock(path: string, dataset: string): () => void {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      writeFileSync(path, `${process.pid}`, { flag: 'wx' });
      return () => {
        rmSync(path, { force: true });
      };
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw writeError(error, path);
      const owner = Number(readOwner(path));
      if (owner > 0 && owner !== process.pid && isAlive(owner)) throw busy(dataset, path, owner);
      rmSync(path, { force: true });
    }
  }
  throw busy(dataset, path, NaN);
}

function busy(dataset: string, path: string, owner: number): DataError {
  return new DataError('busy', {
    operation: `fetching ${dataset}`,
    expected: 'nobody else to be fetching it',
    received: `process ${owner}, which is`,
    remedy: `Wait for it; if there is no such process, remove ${path}.`,
    path,
  });
}

function readOwner(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
