/** `cohort runs list` and `show`: which runs there are, by filters, and all about one. */
import { Option, type Command } from 'commander';
import type { RunQuery, RunState } from '@cohort-ml/runs';
import { runCommand, withCommonOptions, type CommonOptions } from '../../command.ts';
import type { CliEnvironment } from '../../environment.ts';
import {
  findRun,
  openSyncedStore,
  parseLimit,
  parseSince,
  RUN_STATES,
  withRunsFolder,
  type RunsOptions,
} from './options.ts';
import { runPage, runTable } from './text.ts';

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
    .description('list runs, the newest first: state, recipe, progress and accuracy')
    .addOption(new Option('--status <states...>', 'only in these states').choices(RUN_STATES))
    .option('--name <name>', 'only of this name; * stands for anything')
    .option('--method <method>', 'only of this method')
    .option('--dataset <dataset>', 'only on this dataset')
    .option('--since <time>', 'only started since a date (2026-11-20) or an age (12h, 2d, 1w)', (text) =>
      parseSince(text),
    )
    .option(
      '--best <condition>',
      "only if the best epoch meets it: 'accuracy>85%', 'total<1.5'; repeatable",
      collect,
    )
    .option('--last <condition>', 'the same for the last epoch', collect)
    .option('--sort <key>', 'started, name, duration, epochs, or a metric (its last value)', 'started')
    .option('--reverse', 'the other way round')
    .option('--limit <count>', 'so many runs at most', parseLimit)
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
        const store = await openSyncedStore(options, call);
        try {
          const found = store.runs(query);
          const hint =
            found.length > 0 ? '' : store.runs({ limit: 1 }).length > 0 ? NO_MATCH : noRuns(options.runs);
          return { text: found.length > 0 ? runTable(found) : hint, json: { runs: found } };
        } finally {
          store.close();
        }
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
    .description('show one run: recipe, machine, progress, metrics, checkpoints, and how to go on')
    .argument('<run>', 'name of a run folder, the beginning of one, or a path')
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

const NO_MATCH = 'no run meets all of these conditions';

function noRuns(folder: string): string {
  return `no runs in ${folder} yet; another folder: --runs FOLDER`;
}

/** Without the keys that were not given, which is not the same as given and undefined. */
function definedOnly<T extends object>(options: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
