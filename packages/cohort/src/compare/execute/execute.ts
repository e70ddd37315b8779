/** Works through a plan: runs what is missing, several at a time if asked to; a cell that fails does not stop the others. */
import type { CellState } from './folder.ts';
import type { Cell } from '../plan/plan.ts';
import type { CellOutcome, CellRunner } from './runCell.ts';

/** What a plan is worked through with. */
export interface ExecuteOptions {
  /** Cells at a time. */
  readonly parallel: number;
  /** Threads to divide among them. */
  readonly threads: number;
  readonly runCell: CellRunner;
  /** What to do when a training is there, of this time or an earlier one. */
  readonly afterCell?: (cell: Cell) => Promise<CellOutcome>;
  readonly signal: AbortSignal;
  /** What happened, in a line. */
  readonly onMessage: (text: string) => void;
  /** What is under way, in a few words. */
  readonly onProgress: (text: string) => void;
}

/** A cell that failed. */
export interface CellFailure {
  readonly label: string;
  readonly seed: number;
  readonly fraction: number;
  readonly reason: string;
}

/** How it went. */
export interface Execution {
  readonly status: 'finished' | 'interrupted';
  readonly failures: readonly CellFailure[];
}

/** Runs every cell that is not finished. */
export async function executePlan(
  cells: readonly Cell[],
  states: ReadonlyMap<string, CellState>,
  options: ExecuteOptions,
): Promise<Execution> {
  const { parallel, signal, afterCell, onMessage } = options;
  const failures: CellFailure[] = [];
  const fail = ({ label, seed, fraction }: Cell, reason: string): void => {
    failures.push({ label, seed, fraction, reason });
    onMessage(`${nameOf({ label, seed, fraction })} failed: ${reason}`);
  };
  const kindOf = ({ digest }: Cell): CellState['kind'] => states.get(digest)?.kind ?? 'missing';
  for (const cell of cells.filter((each) => kindOf(each) === 'running')) {
    fail(cell, 'another process is training it; start again when that has ended');
  }
  const isThere = (cell: Cell): boolean => kindOf(cell) === 'finished';
  const missing = cells.filter((cell) => ['missing', 'stopped'].includes(kindOf(cell)));
  const waiting = cells.filter(
    (cell) => missing.includes(cell) || (isThere(cell) && afterCell !== undefined),
  );
  let ended = cells.length - missing.length;
  if (ended > 0) onMessage(`${ended} of ${cells.length} trainings are there already`);
  const outcomes = await Promise.all(
    Array.from({ length: Math.max(1, parallel) }, async (): Promise<boolean> => {
      for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
        if (signal.aborted) return false;
        const trained: CellOutcome = isThere(cell)
          ? { kind: 'finished' }
          : await runOne(cell, states.get(cell.digest), ended, cells.length, options);
        const outcome = trained.kind === 'finished' ? ((await afterCell?.(cell)) ?? trained) : trained;
        if (outcome.kind === 'interrupted') return false;
        if (!isThere(cell)) ended += 1;
        if (outcome.kind === 'failed') fail(cell, outcome.reason);
        else if (!isThere(cell)) onMessage(`${ended} of ${cells.length}: ${nameOf(cell)} is trained`);
      }
      return true;
    }),
  );
  return { status: outcomes.includes(false) ? 'interrupted' : 'finished', failures };
}

function runOne(
  cell: Cell,
  state: CellState | undefined,
  ended: number,
  total: number,
  options: ExecuteOptions,
): ReturnType<CellRunner> {
  const { parallel, threads, runCell, signal, onProgress } = options;
  return runCell(cell, {
    // A single one has all that its recipe says.
    threads: parallel > 1 ? Math.max(1, Math.floor(threads / parallel)) : null,
    signal,
    stoppedRun: state?.kind === 'stopped' ? state.run.path : null,
    onProgress: (text) => {
      onProgress(`${ended} of ${total} done; ${nameOf(cell)}: ${text}`);
    },
  });
}

/** `mcl seed 2`, with the share of the images where it is not all. */
export function nameOf({ label, seed, fraction }: Pick<Cell, 'label' | 'seed' | 'fraction'>): string {
  return `${label}${fraction === 1 ? '' : ` with ${fraction} of the images`}, seed ${seed}`;
}
