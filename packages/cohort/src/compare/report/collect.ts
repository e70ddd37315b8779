/** Gathers what the trainings of a comparison came to, from the run folders in its folder. */
import { errorText } from '@cohort-ml/errors';
import type { RunReader } from '@cohort-ml/runs';
import type { Reporter } from '../../progress/reporter.ts';
import type { CollectedComparison } from './archive.ts';
import { hasBestScores } from './bestScores.ts';
import type { CellFailure } from '../execute/execute.ts';
import { cellStates, type Selection, type StoredPlan } from '../execute/folder.ts';
import { readKnown } from '../execute/known.ts';
import { readRecord, type CellRecord } from './record.ts';

/**
 * Reads every finished run; one that cannot be read is reported and left out.
 * @param failures of this time; those of earlier times are read from their runs
 */
export function collectFolder(
  folder: string,
  stored: StoredPlan,
  failures: readonly CellFailure[],
  reporter: Reporter,
): CollectedComparison {
  const { cells } = stored.plan;
  const states = cellStates(folder, cells);
  const records = new Map<string, CellRecord>(readKnown(folder));
  const failed = [...failures];
  for (const { label, seed, fraction, digest } of cells) {
    const state = states.get(digest);
    if (state?.kind === 'finished') {
      const record = recordOf(state.run, stored.select, reporter);
      if (record !== null) records.set(digest, record);
    }
    if (state?.kind !== 'stopped' || state.run.info.failure === null) continue;
    const isTold = failures.some(
      (each) => each.label === label && each.seed === seed && each.fraction === fraction,
    );
    if (!isTold) failed.push({ label, seed, fraction, reason: state.run.info.failure });
  }
  return { ...stored, records, failures: failed };
}

function recordOf(run: RunReader, select: Selection, reporter: Reporter): CellRecord | null {
  if (select === 'best-validation' && !hasBestScores(run.path)) {
    reporter.warning(
      `${run.path} is left out of the report, since its best epoch is not measured yet: the same command does it.`,
    );
    return null;
  }
  try {
    return readRecord(run, select);
  } catch (error) {
    const reason = errorText(error);
    reporter.warning(`${run.path} is left out of the report, since it cannot be read: ${reason}`);
    return null;
  }
}
