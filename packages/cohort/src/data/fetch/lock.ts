/** Keeps two processes from fetching the same dataset into the same folder at the same time. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { errorCode } from '@cohort-ml/errors';
import { DataError } from '../errors.ts';
import { isRunning } from '../loading/processes.ts';
import { writeError } from './files.ts';

/** Locks of this process: its number in a lock file may also be that of a dead one, given out again. */
const held = new Set<string>();

/**
 * Takes the lock at `path`, also from a process that has died with it.
 * @returns a function that gives it back.
 * @throws {@link DataError} `busy` while another process has it, `unwritable`.
 */
export function takeLock(path: string, dataset: string): () => void {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      writeFileSync(path, `${process.pid}`, { flag: 'wx' });
      held.add(path);
      return () => {
        held.delete(path);
        rmSync(path, { force: true });
      };
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw writeError(error, path);
      const owner = Number(readOwner(path));
      const isTaken = owner === process.pid ? held.has(path) : owner > 0 && isRunning(owner);
      if (isTaken) throw busy(dataset, path, owner);
      rmSync(path, { force: true });
    }
  }
  throw busy(dataset, path, NaN);
}

function busy(dataset: string, path: string, owner: number): DataError {
  return new DataError('busy', {
    operation: `fetching ${dataset}`,
    expected: 'no other process to be fetching it',
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
