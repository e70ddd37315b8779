/** `cohort launch`: trains on several ranks, of this host or of several, and keeps them together. */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { defaultPort, rankPlace, type RankPlace } from '../../launch/rankPlace.ts';
import { runCommand, showFailure } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { describeFailure, UsageError } from '../failures.ts';
import { recipeOf } from '../recipeArgument.ts';
import { wholeNumber } from '../wholeNumber.ts';

/** Options of `cohort launch`. */
interface LaunchCommandOptions {
  readonly nproc?: number;
  readonly nnodes: number;
  readonly nodeRank: number;
  readonly master?: string;
  readonly placement?: string;
  readonly shards: number;
  readonly maxRestarts: number;
  /** Seconds. */
  readonly silence: number;
  /** Seconds. */
  readonly gather: number;
  readonly dryRun?: true;
}

/** Where the ranks of this host are among all. */
interface LaunchPlace {
  readonly ranks: readonly number[];
  readonly size: number;
  readonly masterHost: string;
  readonly masterPort: number | null;
}

/** Adds the command. */
export function addLaunchCommand(
  program: Command,
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): void {
  program
    .command('launch')
    .description('train on several ranks: processes of this host or of several')
    .argument('<command...>', 'what to launch: train, with its recipe, overrides and options')
    .passThroughOptions()
    .option(
      '--nproc <count>',
      'ranks on this host; omitted where the environment names a rank',
      wholeNumber(1),
    )
    .option('--nnodes <count>', 'number of hosts, each with --nproc ranks', wholeNumber(1), 1)
    .option('--node-rank <number>', 'which host this is, from 0', wholeNumber(0), 0)
    .option('--master <host:port>', 'where rank 0 listens, for several hosts; the next port is used too')
    .option('--placement <networks>', 'networks of each rank, e.g. 0,2/1 (default: neighbours together)')
    .option('--shards <count>', 'how many ranks share each batch of the same networks', wholeNumber(1), 1)
    .option(
      '--max-restarts <count>',
      'when a rank is lost, resume automatically up to this often',
      wholeNumber(0),
      0,
    )
    .option(
      '--silence <seconds>',
      'treat a rank or host as lost after this long without a heartbeat',
      wholeNumber(2),
      10,
    )
    .option('--gather <seconds>', 'how long to wait for the other hosts', wholeNumber(1), 600)
    .option('--dry-run', 'print the placement and bytes per step without training')
    .action(async (words: string[], options: LaunchCommandOptions) => {
      try {
        const [command, ...others] = words;
        if (command !== 'train') {
          throw new UsageError(
            `cohort launch starts trainings, and got '${command ?? ''}'. Write cohort launch --nproc 2 train RECIPE.`,
          );
        }
        const place = placeOf(options, environment);
        setExitCode(
          options.dryRun === true
            ? await dryRun(others, place, options, environment)
            : await start(words, argv.slice(1, argv.length - words.length), place, options, environment),
        );
      } catch (error) {
        const failure = describeFailure(error);
        showFailure(environment, failure, words.includes('--json'));
        setExitCode(failure.exitCode);
      }
    });
}

/** The ranks of this host: as the options have them, or the one that the environment names. */
function placeOf(options: LaunchCommandOptions, { variables }: CliEnvironment): LaunchPlace {
  const { nproc, nnodes, nodeRank, master } = options;
  if (nproc === undefined) {
    const place = rankPlace(variables);
    if (place !== null) return ofEnvironment(place);
    throw new UsageError(
      'cohort launch needs --nproc, the number of ranks on this host, or an environment that names a rank, as torchrun and srun make it.',
    );
  }
  if (nodeRank >= nnodes) {
    throw new UsageError(
      `--node-rank ${nodeRank} is not one of ${nnodes} hosts, which count from 0. Give a smaller one.`,
    );
  }
  const ranks = Array.from({ length: nproc }, (_, local) => nodeRank * nproc + local);
  const size = nnodes * nproc;
  if (nnodes === 1) return { ranks, size, masterHost: '127.0.0.1', masterPort: null };
  const [, host, port] = /^(.*?)(?::(\d+))?$/.exec(master ?? '') ?? [];
  if (host === undefined || host === '') {
    throw new UsageError(
      '--nnodes requires --master HOST:PORT, the address of the first host, on every host.',
    );
  }
  return { ranks, size, masterHost: host, masterPort: port === undefined ? defaultPort : Number(port) };
}

function ofEnvironment({ rank, size, masterHost, masterPort }: RankPlace): LaunchPlace {
  return { ranks: [rank], size, masterHost, masterPort };
}

async function start(
  words: readonly string[],
  launchWords: readonly string[],
  place: LaunchPlace,
  options: LaunchCommandOptions,
  { variables, stderr, onInterrupt }: CliEnvironment,
): Promise<number> {
  const { launch } = await import('../../launch/launcher.ts');
  // Equal shares of the cores, unless somebody has decided: ranks that each use all of them wait for one another.
  const threads = Math.max(1, Math.floor(availableParallelism() / place.ranks.length));
  return launch({
    ...place,
    placement: options.placement,
    shards: options.shards,
    program: [process.execPath, ...process.execArgv.filter(isForRanks), cohortProgram],
    launchWords,
    words,
    variables: { ...variables, OMP_NUM_THREADS: variables.OMP_NUM_THREADS ?? String(threads) },
    maximumRestarts: options.maxRestarts,
    silenceMs: options.silence * 1000,
    gatherMs: options.gather * 1000,
    stderr,
    onInterrupt,
  });
}

async function dryRun(
  words: readonly string[],
  { size }: LaunchPlace,
  { placement, shards }: LaunchCommandOptions,
  environment: CliEnvironment,
): Promise<number> {
  const settings = words.filter((word) => !word.startsWith('-'));
  const [recipe, ...overrides] = settings;
  const flags = {
    ...(words.includes('--json') ? { json: true as const } : {}),
    ...(words.includes('--quiet') ? { quiet: true as const } : {}),
  };
  return runCommand(environment, flags, async (call) => {
    if (recipe === undefined || words.includes('--resume')) {
      throw new UsageError('--dry-run needs a recipe: cohort launch --nproc 2 --dry-run train RECIPE.');
    }
    const resolved = await recipeOf(recipe, overrides, {}, environment, call);
    const { plan, text } = await environment.actions.planLaunch(
      { recipe: resolved, ranks: size, placement, shards },
      call,
    );
    return { text, json: plan };
  });
}

/** Flags of Node.js that ranks get too: not those by which a program was passed as text. */
function isForRanks(flag: string): boolean {
  return !/^(-e|--eval|-p|--print)\b/.test(flag);
}

/** `bin/cohort.js`, two folders up from `src/cli/commands` as from `dist/cli/commands`, and one more. */
const cohortProgram = fileURLToPath(new URL('../../../bin/cohort.js', import.meta.url));
