/** Changes to whole runs from outside: another name, and deletion; never while a process writes the run. */
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { describeFileError, RunError } from './errors.ts';
import { replaceFile, uniqueSuffix } from './files.ts';
import { acquireRunLock, isRunLive, readRunLock } from './lock.ts';
import { openRun } from './reader.ts';
import { FILES, formatJsonRecord, parseJsonRecord } from './schema.ts';

/**
 * Refuses a run that a process may be writing.
 * @param what the operation as it reads after "cannot"
 * @throws RunError of kind `locked`
 */
export function refuseLive(folder: string, what: string): void {
  const path = resolve(folder);
  if (!isRunLive(path)) return;
  const lock = readRunLock(path);
  const holder = lock === null ? 'another process' : `process ${lock.pid} on ${lock.host}`;
  throw new RunError('locked', path, `cannot ${what} ${path}: ${holder} is writing it`, {
    remedy: `End it first (Ctrl-C or kill), or delete ${FILES.lock} in the folder if that process is gone.`,
  });
}

/**
 * Gives a run another name; the folder and the run's id stay.
 * @throws RunError for a run that is being written, cannot be read or cannot be written
 */
export function renameRun(folder: string, name: string): void {
  const { path } = openRun(folder);
  if (name.trim() === '') {
    throw new RunError('invalid', path, `cannot rename the run ${path}: its new name is empty`, {
      remedy: 'Give it a name of at least one character.',
    });
  }
  refuseLive(path, 'rename the run');
  const lock = acquireRunLock(path);
  const file = join(path, FILES.info);
  try {
    // All of it and not only what this version knows.
    const info = parseJsonRecord(readFileSync(file, 'utf8'), file);
    replaceFile(file, formatJsonRecord({ ...info, name }, file));
  } catch (error) {
    throw describeFileError(error, 'rename the run', file);
  } finally {
    lock.release();
  }
}

/**
 * Deletes a run. It first gets a name that no reader looks at, so that what a crash leaves is no half run.
 * @throws RunError for a run that is being written or cannot be deleted
 */
export function removeRun(folder: string): void {
  const { path } = openRun(folder);
  refuseLive(path, 'delete the run');
  const doomed = join(dirname(path), `.${basename(path)}.deleted-${uniqueSuffix()}`);
  try {
    // Held while it is moved: a process that would resume the run now is refused, or this is.
    const lock = acquireRunLock(path);
    try {
      renameSync(path, doomed);
    } catch (error) {
      lock.release();
      throw error;
    }
    rmSync(doomed, { recursive: true, force: true });
  } catch (error) {
    throw describeFileError(error, 'delete the run', path);
  }
}
