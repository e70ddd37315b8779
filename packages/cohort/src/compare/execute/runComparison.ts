/** A whole comparison: its plan written down, its trainings run, its report made and written. */
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { acquireRunLock, makeFolders, type RunReader } from '@cohort-ml/runs';
import type { Reporter } from '../../progress/reporter.ts';
import { hasBestScores } from '../report/bestScores.ts';
import { collectFolder } from '../report/collect.ts';
import { CompareError } from '../errors.ts';
import { executePlan } from './execute.ts';
import { cellStates, writePlan, type Selection } from './folder.ts';
import { keepKnown } from './known.ts';
import type { Cell, Plan } from '../plan/plan.ts';
import { writeCollected, type ComparisonResult, type ReportTargets } from '../report/reportComparison.ts';
import type { CellOutcome, CellRunner } from './runCell.ts';

/** What a comparison is run with. */
export interface ComparisonOptions extends ReportTargets {
  /** Folder that the comparison's folder is made in. */
  readonly runs: string;
  readonly command: string;
  readonly select: Selection;
  /** Archives whose trainings count as done. */
  readonly known?: readonly string[];
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

/** Runs what is missing, and reports. @throws {CompareError}, RunError */
export async function runComparison(plan: Plan, options: ComparisonOptions): Promise<ComparisonResult> {
  const { command, select, parallel, reporter, signal, out, archive } = options;
  assertSelectable(plan, select);
  const folder = resolve(options.runs, plan.name);
  makeFolders(folder);
  // Two at once would train the same cells.
  const lock = acquireRunLock(folder);
  try {
    const stored = { plan, command, select };
    writePlan(folder, stored);
    const known = keepKnown(folder, stored, options.known ?? []);
    const cells = plan.cells.filter(({ digest }) => !known.has(digest));
    for (const { label, reason } of plan.leftOut) reporter.warning(`${label} is left out: ${reason}`);
    reporter.message(`${plan.cells.length} trainings in ${folder}`);
    if (known.size > 0) reporter.message(`${known.size} of them are taken from archives`);
    const execution = await executePlan(cells, cellStates(folder, cells), {
      parallel,
      signal,
      runCell: options.runCell,
      threads: options.threads ?? availableParallelism(),
      ...(select === 'best-validation' ? { afterCell: measurer(folder, plan, options) } : {}),
      onMessage: (text) => {
        reporter.message(text);
      },
      onProgress: (text) => {
        reporter.progress?.(text);
      },
    });
    const collected = collectFolder(folder, stored, execution.failures, reporter);
    const targets = { out: out ?? join(folder, 'report'), ...(archive === undefined ? {} : { archive }) };
    return { status: execution.status, folder, ...writeCollected(collected, targets) };
  } finally {
    lock.release();
  }
}

function assertSelectable({ cells }: Plan, select: Selection): void {
  const task = cells.find(({ recipe }) => recipe.task !== undefined)?.recipe.task?.name;
  if (select === 'best-validation' && task !== undefined) {
    throw new CompareError(
      '--select best-validation',
      'a recipe of classifiers',
      `one with task ${task}`,
      'Leave it out: the last epoch counts then.',
    );
  }
  if (select === 'last' || cells.every(({ recipe }) => recipe.data.validationImages !== null)) return;
  throw new CompareError(
    '--select best-validation',
    'validation images to choose the epoch by',
    'a recipe with none',
    'Add --set data.validationImages=0.1, for example.',
  );
}

/** Measures the best epoch of a training that is done, unless that has been done too; one at a time, since all share this process. */
function measurer(
  folder: string,
  { cells }: Plan,
  { measureBest, signal }: ComparisonOptions,
): (cell: Cell) => Promise<CellOutcome> {
  let before: Promise<unknown> = Promise.resolve();
  const measureOne = async ({ digest }: Cell): Promise<CellOutcome> => {
    const state = cellStates(folder, cells).get(digest);
    if (state?.kind !== 'finished') {
      return { kind: 'failed', reason: `there is no finished run of it in ${folder}` };
    }
    if (hasBestScores(state.run.path)) return { kind: 'finished' };
    try {
      signal.throwIfAborted();
      await measureBest(state.run);
      return { kind: 'finished' };
    } catch (error) {
      if (signal.aborted) return { kind: 'interrupted' };
      const reason = errorText(error);
      return { kind: 'failed', reason: `its best epoch cannot be measured: ${reason}` };
    }
  };
  return (cell) => {
    const own = before.then(() => measureOne(cell));
    before = own;
    return own;
  };
}
