/** `cohort runs list` and `show`: which runs there are, by filters, and all about one. */
import { Option, type Command } from 'commander';
import type { RunEntry, RunQuery, RunState } from '@cohort-ml/runs';
import type { CallOptions } from '../../contracts.ts';
import { runCommand, withCommonOptions, type CommonOptions } from '../../command.ts';
import type { CliEnvironment } from '../../environment.ts';
import {
  findRun,
  openSyncedStore,
  parseSince,
  RUN_STATES,
  withRunsFolder,
  type RunsOptions,
} from './options.ts';
import { runPage, runTable } from './text.ts';
import { wholeNumber } from '../../wholeNumber.ts';

interface ListOptions extends CommonOptions, RunsOptions {
  readonly status?: readonly RunState[];
  readonly name?: string;
  readonly method?: string;
  readonly dataset?: string;
  readonly since?: Date;
  readonly best?: readonly string[];
  readonly last?: readonly string[];
  readonly sort: string;
  readonly reverse?: true;
  readonly limit?: number;
}

const collect = (text: string, previous: readonly string[] = []): string[] => [...previous, text];

/** Adds `runs list`. */
export function addRunsListCommand(
  runs: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(runs.command('list')))
    .description('list runs, newest first: state, recipe, progress and accuracy')
    .addOption(new Option('--status <states...>', 'only runs in these states').choices(RUN_STATES))
    .option('--name <name>', 'only runs with this name; * matches anything')
    .option('--method <method>', 'only runs of this method')
    .option('--dataset <dataset>', 'only runs on this dataset')
    .option('--since <time>', 'only runs started since a date (2026-11-20) or within an age (12h, 2d, 1w)', (text) =>
      parseSince(text),
    )
    .option(
      '--best <condition>',
      "only runs whose best epoch meets this: 'accuracy>85%', 'total<1.5' (repeatable)",
      collect,
    )
    .option('--last <condition>', 'the same, for the last epoch', collect)
    .option('--sort <key>', "sort by started, name, duration, epochs, or a metric's last value", 'started')
    .option('--reverse', 'reverse the order')
    .option('--limit <count>', 'maximum number of runs', wholeNumber(1))
    .action(async (options: ListOptions) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const { parseCondition } = await import('@cohort-ml/runs');
        const { status, best = [], last = [], name, method, dataset, since, sort, reverse, limit } = options;
        const given = { states: status, name, method, dataset, since, reverse, limit };
        const query: RunQuery = {
          ...definedOnly(given),
          sort,
          best: best.map(parseCondition),
          last: last.map(parseCondition),
        };
        const { found, hasRuns } = await findRuns(query, options, call);
        const hint = hasRuns ? NO_MATCH : noRuns(options.runs);
        return { text: found.length > 0 ? runTable(found) : hint, json: { runs: found } };
      });
      setExitCode(exitCode);
    });
}

/** Adds `runs show`. */
export function addRunsShowCommand(
  runs: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(runs.command('show')))
    .description('show one run: recipe, machine, progress, metrics, checkpoints, and how to resume')
    .argument('<run>', 'run folder: its name, a unique prefix, or a path')
    .action(async (run: string, options: CommonOptions & RunsOptions) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const { store, details } = await findRun(run, options, call);
        try {
          const metrics = store.metrics(details.folder);
          return { text: runPage(details, metrics), json: { ...details, metrics } };
        } finally {
          store.close();
        }
      });
      setExitCode(exitCode);
    });
}

/** From the store, or from the folders where SQLite does not load. */
async function findRuns(
  query: RunQuery,
  options: RunsOptions,
  call: Pick<CallOptions, 'reporter'>,
): Promise<{ readonly found: readonly RunEntry[]; readonly hasRuns: boolean }> {
  const { queryFolders, RunError } = await import('@cohort-ml/runs');
  try {
    const store = await openSyncedStore(options, call);
    try {
      const found = store.runs(query);
      return { found, hasRuns: found.length > 0 || store.runs({ limit: 1 }).length > 0 };
    } finally {
      store.close();
    }
  } catch (error) {
    if (!(error instanceof RunError) || error.kind !== 'store') throw error;
    call.reporter.warning(`${error.message}; reading the run folders instead`);
    const { runs: found, unreadable } = queryFolders(options.runs, query);
    for (const { message } of unreadable) call.reporter.warning(message);
    return { found, hasRuns: found.length > 0 || queryFolders(options.runs).runs.length > 0 };
  }
}

const NO_MATCH = 'no run matches all of these conditions';

function noRuns(folder: string): string {
  return `no runs in ${folder} yet; choose another folder with --runs FOLDER`;
}

/** Without the keys that were not given, which is not the same as given and undefined. */
function definedOnly<T extends object>(options: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
