/** Which checkpoint of a run to use: a named one, the newest intact one, or the best; damaged ones are skipped with a warning. */
import type { RunReader } from '@cohort-ml/runs';
import { CheckpointError, isDamage, readCheckpointInfo, verifyCheckpoint } from './checkpoint.ts';
import type { StoredCheckpointInfo } from './checkpointInfo.ts';
import type { Reporter } from '../progress/reporter.ts';

/** A checkpoint whose files are all as they were written. */
export interface SoundCheckpoint {
  readonly name: string;
  readonly folder: string;
  readonly info: StoredCheckpointInfo;
}

/** Name of the checkpoint that a step has; the zeros make names sort as numbers do. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

/**
 * Finds a checkpoint.
 *
 * @param name of one; `last` (unless given) is the newest that is intact, `best` the one with the best validation accuracy
 * @throws {CheckpointError} when the one that was named, or every one, is damaged; {RunError} when there is none
 */
export function chooseCheckpoint(
  run: RunReader,
  reporter: Pick<Reporter, 'warning'>,
  name = 'last',
): SoundCheckpoint {
  const names = run.checkpoints();
  if (name === 'best' && !names.includes(name)) return bestOf(run, names);
  if (name !== 'last') return open(run, name);
  const failures: Error[] = [];
  for (const candidate of newestFirst(names)) {
    try {
      const found = open(run, candidate);
      for (const { message } of failures) reporter.warning(`${message} Using ${candidate} instead.`);
      return found;
    } catch (error) {
      if (!isDamage(error)) throw error;
      failures.push(error);
    }
  }
  const [first] = failures;
  if (first !== undefined) throw first;
  // There is none: this throws with the reason.
  return open(run, name);
}

function open(run: RunReader, name: string): SoundCheckpoint {
  const folder = run.checkpoint(name);
  const info = readCheckpointInfo(folder);
  verifyCheckpoint(folder, info);
  return { name, folder, info };
}

function bestOf(run: RunReader, names: readonly string[]): SoundCheckpoint {
  let best: SoundCheckpoint | null = null;
  for (const name of newestFirst(names)) {
    try {
      const found = open(run, name);
      if ((accuracyOf(found.info) ?? -1) > (best === null ? -1 : (accuracyOf(best.info) ?? -1))) best = found;
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
  if (best !== null) return best;
  throw new CheckpointError(
    `The run ${run.path} has no intact checkpoint that was measured on validation images`,
    { remedy: 'Use its last one, or train with data.validationImages.' },
  );
}

/** Validation accuracy of a checkpoint; null where it was not measured. */
export function accuracyOf(info: StoredCheckpointInfo): number | null {
  return info.version === 1 ? null : info.validationAccuracy;
}

function newestFirst(names: readonly string[]): string[] {
  const stepOf = (name: string): number => Number(/^step-(\d+)$/.exec(name)?.[1] ?? -1);
  return [...names].sort((left, right) => stepOf(right) - stepOf(left));
}
