/** What the `cohort runs` commands share: where the runs are, the store over them, and how filters are typed. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import type { RunDetails, RunState, RunStore } from '@cohort-ml/runs';
import type { CallOptions } from '../../contracts.ts';

/** Options of every command of the group. */
export interface RunsOptions {
  /** Folder that holds the runs. */
  readonly runs: string;
}

/** Adds `--runs`. */
export function withRunsFolder(command: Command): Command {
  return command.option('--runs <folder>', 'folder that contains the runs', 'runs');
}

/** Opens the store, brings it up to date with the folders, and tells what could not be read. */
export async function openSyncedStore(
  { runs }: RunsOptions,
  { reporter }: Pick<CallOptions, 'reporter'>,
): Promise<RunStore> {
  // Loaded when a command runs: --help must not wait for it.
  const { openStore } = await import('@cohort-ml/runs');
  const store = openStore(runs, {
    onProblem: (text) => {
      reporter.warning(text);
    },
  });
  for (const { message } of store.sync().unreadable) reporter.warning(message);
  return store;
}

/** A run and the store that knows it; for a path, the store of the folder that holds it. */
export async function findRun(
  text: string,
  options: RunsOptions,
  call: Pick<CallOptions, 'reporter'>,
): Promise<{ store: RunStore; details: RunDetails }> {
  const isPath = /[/\\]/.test(text) && existsSync(text);
  const runs = isPath ? dirname(resolve(text)) : options.runs;
  const store = await openSyncedStore({ runs }, call);
  try {
    return { store, details: store.find(isPath ? resolve(text) : text) };
  } catch (error) {
    store.close();
    throw error;
  }
}

/** All states, for choices of an option. */
export const RUN_STATES: readonly RunState[] = ['running', 'finished', 'failed', 'interrupted', 'stopped'];

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
]);

/** `2026-11-20`, `2026-11-20T08:00`, or so long ago: `90m`, `12h`, `2d`, `1w`. @throws InvalidArgumentError */
export function parseSince(text: string, now = Date.now()): Date {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([mhdw])$/.exec(text) ?? [];
  const unitMs = UNITS_MS.get(unit);
  if (amount !== undefined && unitMs !== undefined) return new Date(now - Number(amount) * unitMs);
  const isDate = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?$/.test(text);
  if (isDate && !Number.isNaN(Date.parse(text))) return new Date(text);
  throw new InvalidArgumentError('Expected a date (2026-11-20) or an age (90m, 12h, 2d, 1w).');
}
