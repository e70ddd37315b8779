/** Keeps two processes from fetching the same dataset into the same folder at the same time. */
import { CohortError } from '@cohort-ml/errors';
import { acquireFileLock, type FileLockState, type HeldFileLock } from '@cohort-ml/runs';
import { DataError } from '../errors.ts';
import { writeError } from './files.ts';

/**
 * Takes the lock at `path`, also from a process that died while it held it.
 * @throws {@link DataError} `busy` while another process has it, `unwritable`; RunError for a file that is no lock.
 */
export function acquireFetchLock(path: string, dataset: string): HeldFileLock {
  try {
    return acquireFileLock(path, (holder) => busy(dataset, path, holder));
  } catch (error) {
    throw error instanceof CohortError ? error : writeError(error, path);
  }
}

function busy(dataset: string, path: string, { pid, host, state }: FileLockState): DataError {
  return new DataError('busy', {
    operation: `fetching ${dataset}`,
    expected: 'no other process to be fetching it',
    received: state === 'live' ? `process ${pid}, which is` : `process ${pid} on ${host}, which may be`,
    remedy: `Wait until it ends; if there is no such process, remove ${path}.`,
    path,
  });
}
