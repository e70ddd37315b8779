/** A whole comparison: its plan written down, its trainings run, its report made and written. */
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { acquireRunLock, makeFolders, type RunReader } from '@cohort/runs';
import type { Reporter } from '../train/reporter.ts';
import { CompareError } from './errors.ts';
import { executePlan, type CellFailure, type Execution } from './execute.ts';
import { cellStates, readPlan, writePlan, type Selection, type StoredPlan } from './folder.ts';
import type { Cell, Plan } from './plan.ts';
import { buildReport, type ComparisonReport } from './report.ts';
import { readCell, type CellResult } from './results.ts';
import type { CellRunner } from './runCell.ts';
import { writeReport } from './writeReport.ts';

/** What a comparison is run with. */
export interface ComparisonOptions {
  /** Folder that the comparison's folder is made in. */
  readonly runs: string;
  readonly command: string;
  readonly select: Selection;
  /** Trainings at a time. */
  readonly parallel: number;
  /** Threads for all of them; one for each core unless given. */
  readonly threads: number | null;
  readonly runCell: CellRunner;
  /** Measures the weights of a finished run that were best on validation images, and writes the result into it. */
  readonly measureBest: (run: RunReader) => Promise<void>;
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
}

/** What a comparison came to. */
export interface ComparisonResult {
  readonly status: Execution['status'];
  readonly folder: string;
  readonly report: ComparisonReport;
  /** Paths of the report's files. */
  readonly files: readonly string[];
}

/** Runs what is missing, and reports. @throws {CompareError}, RunError */
export async function runComparison(plan: Plan, options: ComparisonOptions): Promise<ComparisonResult> {
  const { command, select, parallel, reporter, signal } = options;
  assertSelectable(plan, select);
  const folder = resolve(options.runs, plan.name);
  makeFolders(folder);
  // Two at once would train the same cells.
  const lock = acquireRunLock(folder);
  try {
    writePlan(folder, { plan, command, select });
    reporter.message(`${plan.cells.length} trainings in ${folder}`);
    const execution = await executePlan(plan.cells, cellStates(folder, plan.cells), {
      ...{ parallel, signal, runCell: options.runCell },
      threads: options.threads ?? availableParallelism(),
      onMessage: (text) => {
        reporter.message(text);
      },
      onProgress: (text) => {
        reporter.progress?.(text);
      },
    });
    const failures = [...execution.failures];
    if (select === 'best-validation') failures.push(...(await measureAll(folder, plan, options)));
    return { status: execution.status, ...report(folder, { plan, command, select }, failures, reporter) };
  } finally {
    lock.release();
  }
}

/** Makes the report of a comparison again from its folder alone. @throws {CompareError} */
export function reportComparison(folder: string, reporter: Reporter): ComparisonResult {
  const absolute = resolve(folder);
  return { status: 'finished', ...report(absolute, readPlan(absolute), [], reporter) };
}

function report(
  folder: string,
  stored: StoredPlan,
  failures: readonly CellFailure[],
  reporter: Reporter,
): Omit<ComparisonResult, 'status'> {
  const { plan, command, select } = stored;
  const results = readResults(folder, plan.cells, select, reporter);
  const built = buildReport({ plan, command, select, results, failures });
  return { folder, report: built, files: writeReport(join(folder, 'report'), built) };
}

/** A run that cannot be read is told of and left out. */
function readResults(
  folder: string,
  cells: readonly Cell[],
  select: Selection,
  reporter: Reporter,
): CellResult[] {
  const states = cellStates(folder, cells);
  return cells.flatMap((cell) => {
    const state = states.get(cell.digest);
    if (state?.kind !== 'finished') return [];
    try {
      return [readCell(cell, state.run, select)];
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      reporter.warning(`${state.run.path} is left out of the report, since it cannot be read: ${reason}`);
      return [];
    }
  });
}

function assertSelectable({ cells }: Plan, select: Selection): void {
  if (select === 'last' || cells.every(({ recipe }) => recipe.data.validationImages !== null)) return;
  throw new CompareError(
    '--select best-validation',
    'validation images to choose the epoch by',
    'a recipe with none',
    'Add --set data.validationImages=0.1, for example.',
  );
}

async function measureAll(
  folder: string,
  { cells }: Plan,
  { measureBest, signal }: ComparisonOptions,
): Promise<CellFailure[]> {
  const failures: CellFailure[] = [];
  const states = cellStates(folder, cells);
  for (const { label, seed, fraction, digest } of cells) {
    const state = states.get(digest);
    if (state?.kind !== 'finished' || signal.aborted) continue;
    try {
      await measureBest(state.run);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      failures.push({ label, seed, fraction, reason: `its best epoch cannot be measured: ${reason}` });
    }
  }
  return failures;
}
