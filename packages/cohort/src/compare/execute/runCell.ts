/** Trains one cell in a process of its own: what goes wrong there ends there, and its peak memory is its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringifyRecipe, type ResolvedRecipe } from '../../recipes/index.ts';
import type { Cell } from '../plan/plan.ts';

/** What a cell is run with. */
export interface CellRunOptions {
  /** Threads of its engine; null leaves it to the recipe. */
  readonly threads: number | null;
  readonly signal: AbortSignal;
  /** A run of it that was stopped, and can be resumed. */
  readonly stoppedRun: string | null;
  /** Told each line of progress. */
  readonly onProgress: (text: string) => void;
}

/** How the run of a cell ended. */
export type CellOutcome =
  | { readonly kind: 'finished' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'failed'; readonly reason: string };

/** Runs a cell; never rejects for what goes wrong in the training. */
export type CellRunner = (cell: Cell, options: CellRunOptions) => Promise<CellOutcome>;

const interruptedExitCode = 130;

/** The compiled command line, as seen from `src/compare` and from `dist/compare`. */
const ownProgram = fileURLToPath(new URL('../../../bin/cohort.js', import.meta.url));

/** Children that are at work, to be ended with this process. */
const atWork = new Set<ChildProcess>();

function endChildren(): void {
  for (const child of atWork) child.kill('SIGKILL');
}

/** Runs cells by the `train` of a command line. @param program path of its JavaScript; this installation's unless given */
export function childRunner(program: string = ownProgram): CellRunner {
  return (cell, options) => runCell(program, cell, options);
}

/** Goes on with the cell's run where one was stopped. */
async function runCell(program: string, cell: Cell, options: CellRunOptions): Promise<CellOutcome> {
  const { stoppedRun, signal } = options;
  if (stoppedRun !== null) {
    const outcome = await runChild([program, 'train', '--resume', stoppedRun, '--json'], options);
    // Code may have changed since, or there was no checkpoint yet: what cannot be resumed is trained again.
    if (outcome.kind !== 'failed' || signal.aborted) return outcome;
    options.onProgress(`${stoppedRun} cannot be resumed, so it is trained again: ${outcome.reason}`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'cohort-cell-'));
  try {
    const path = join(folder, 'recipe.yaml');
    writeFileSync(path, stringifyRecipe(withThreads(cell.recipe, options.threads)));
    return await runChild([program, 'train', path, '--json'], options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function withThreads(recipe: ResolvedRecipe, threads: number | null): ResolvedRecipe {
  return threads === null ? recipe : { ...recipe, engine: { ...recipe.engine, threads } };
}

async function runChild(argv: readonly string[], options: CellRunOptions): Promise<CellOutcome> {
  const { signal, onProgress } = options;
  if (signal.aborted) return { kind: 'interrupted' };
  const child = spawn(process.execPath, [...process.execArgv, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own: Ctrl-C would else reach it twice, from the terminal and from here, and twice means at once.
    detached: true,
    env: { ...process.env, CI: '1' },
  });
  if (atWork.size === 0) process.once('exit', endChildren);
  atWork.add(child);
  const stop = (): void => {
    child.kill('SIGINT');
  };
  signal.addEventListener('abort', stop, { once: true });
  let last = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    last = line;
  });
  createInterface({ input: child.stderr }).on('line', onProgress);
  try {
    return await new Promise<CellOutcome>((settle) => {
      child.once('error', (error) => {
        settle({ kind: 'failed', reason: error.message });
      });
      child.once('close', (code, killedBy) => {
        settle(outcomeOf(code, killedBy, last));
      });
    });
  } finally {
    signal.removeEventListener('abort', stop);
    atWork.delete(child);
    if (atWork.size === 0) process.off('exit', endChildren);
  }
}

/** From the exit code and the JSON object on the last line of standard output. */
function outcomeOf(code: number | null, killedBy: string | null, lastLine: string): CellOutcome {
  if (code === 0) return { kind: 'finished' };
  if (code === interruptedExitCode) return { kind: 'interrupted' };
  if (killedBy !== null) return { kind: 'failed', reason: `its process was ended by ${killedBy}` };
  return { kind: 'failed', reason: failureOf(lastLine) ?? `its process ended with code ${code}` };
}

function failureOf(line: string): string | null {
  try {
    const answer: unknown = JSON.parse(line);
    if (typeof answer !== 'object' || answer === null || !('error' in answer)) return null;
    const { error } = answer;
    if (typeof error !== 'object' || error === null || !('message' in error)) return null;
    return typeof error.message === 'string' ? error.message : null;
  } catch {
    return null;
  }
}
