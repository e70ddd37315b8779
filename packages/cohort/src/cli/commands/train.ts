/** `cohort train`: from a recipe and overrides to a run folder, or on with a run that was stopped. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { shellCommand } from '../../support/shellCommand.ts';
import { formatDuration, formatPercent, formatTerm } from '../../progress/progressText.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, TRAINING, withCommonOptions } from '../command.ts';
import { CHANGES, type Change } from '../../checkpoints/changes.ts';
import type { TrainOptions, TrainResult } from '../../train/run/run.ts';
import type { FollowerResult } from '../../train/distributed/follow.ts';
import type { CliEnvironment } from '../environment.ts';
import { EXIT_CODES, UsageError } from '../failures.ts';
import { recipeOf, type RecipeOptions } from '../recipeArgument.ts';
import { formatTable } from '../table.ts';

/** Options of `cohort train` that decide how a run goes on and ends. */
export interface RunOptions {
  readonly resume?: string;
  readonly allow?: readonly Change[];
  /** Seconds. */
  readonly stopAfter?: number;
  readonly tensorboard?: string | true;
  readonly dashboard?: true;
}

/** Adds the command. */
export function addTrainCommand(
  program: Command,
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): void {
  withRunOptions(program.command('train'))
    .description('train a recipe, or one proposed for a folder of images, and write a run folder')
    .argument('[recipe]', 'recipe name, YAML file, folder of images, or CSV; omitted with --resume')
    .argument('[overrides...]', 'settings to change, as key=value with dotted paths and YAML values')
    .action(
      async (
        recipe: string | undefined,
        overrides: string[],
        options: CommonOptions & RecipeOptions & RunOptions,
      ) => {
        const exitCode = await runCommand(
          environment,
          options,
          async (call) => {
            const command = shellCommand(['cohort', ...argv]);
            const { stopAfter, tensorboard } = options;
            const given = {
              ...call,
              command,
              ...(stopAfter === undefined ? {} : { stopAfterSeconds: stopAfter }),
              ...(tensorboard === undefined ? {} : { tensorboard }),
            };
            const result = await train(recipe, overrides, options, environment, given);
            return {
              text: 'runFolder' in result ? describeResult(result) : `this rank has ${result.status}`,
              json: result,
              exitCode: result.status === 'interrupted' ? EXIT_CODES.interrupted : EXIT_CODES.ok,
            };
          },
          TRAINING,
        );
        setExitCode(exitCode);
      },
    );
}

/** Adds the options that every command has which trains a recipe. */
export function withRunOptions(command: Command): Command {
  return withCommonOptions(command)
    .option('--strict', 'stop at broken image files instead of skipping them')
    .option('--follow-links', 'follow links that lead outside the folder of images')
    .option(
      '--tensorboard [folder]',
      'also write TensorBoard event files, to FOLDER/RUN (default: the run folder)',
    )
    .option('--dashboard', 'show the runs in the browser while it trains; the address is printed')
    .option('--save-recipe <file>', 'also write the recipe to a new file')
    .option('--resume <run>', 'resume a run, by its folder or id, from its newest intact checkpoint')
    .option(
      '--allow <change>',
      'with --resume: continue even though code, data or recipe has changed',
      collectChanges,
    )
    .option(
      '--stop-after <time>',
      'stop after this long (90s, 50m, 2h); write a checkpoint and exit with 0',
      parseDuration,
    );
}

/** A new run of a recipe, or an old one gone on with. */
export async function train(
  recipe: string | undefined,
  overrides: readonly string[],
  options: RecipeOptions & RunOptions,
  environment: CliEnvironment,
  call: TrainOptions,
  purpose: 'train' | 'pretrain' = 'train',
): Promise<TrainResult | FollowerResult> {
  const { resume, allow = [] } = options;
  const { variables, actions } = environment;
  if (resume === undefined) {
    if (recipe === undefined) {
      throw new UsageError(
        `cohort ${purpose} needs a folder of images or a recipe, or --resume with a run. Run cohort ${purpose} --help for examples.`,
      );
    }
    if (allow.length > 0)
      throw new UsageError('--allow requires --resume. Add --resume RUN, or omit --allow.');
    const isLaunched = variables.COHORT_LAUNCHED === '1';
    // One rank writes it.
    const { strict, followLinks } = options;
    const following = {
      ...(strict === undefined ? {} : { strict }),
      ...(followLinks === undefined ? {} : { followLinks }),
    };
    const given = isLaunched && variables.RANK !== '0' ? following : options;
    const resolved = await recipeOf(recipe, overrides, given, environment, call, purpose);
    return withDashboard(options, resolved.runs, call, variables, () =>
      isLaunched
        ? actions.trainRank({ kind: 'new', recipe: resolved }, call, variables)
        : actions.trainRun(resolved, call),
    );
  }
  // They would change or write the recipe of a new run.
  for (const [option, value] of [
    ['--strict', options.strict],
    ['--follow-links', options.followLinks],
    ['--save-recipe', options.saveRecipe],
  ]) {
    if (value !== undefined)
      throw new UsageError(
        `${option} is for new runs and cannot be combined with --resume. Omit one of them.`,
      );
  }
  // Without a recipe, what stands in its place is the first setting.
  const settings = [...(recipe === undefined ? [] : [recipe]), ...overrides];
  const { parseOverrides } = await import('../../recipes/overrides.ts');
  parseOverrides(settings);
  const runs = existsSync(resume) ? dirname(resolve(resume)) : 'runs';
  const given = { ...call, overrides: settings, allow };
  return withDashboard(options, runs, call, variables, () =>
    variables.COHORT_LAUNCHED === '1'
      ? actions.trainRank({ kind: 'resume', run: resume }, given, variables)
      : actions.resumeRun(resume, given),
  );
}

/** Runs a training with the dashboard beside it where that was asked for. */
export async function withDashboard<Result>(
  { dashboard }: RunOptions,
  runs: string,
  { reporter }: TrainOptions,
  { RANK = '0', COHORT_LAUNCHED }: CliEnvironment['variables'],
  training: () => Promise<Result>,
): Promise<Result> {
  if (dashboard !== true || (COHORT_LAUNCHED === '1' && RANK !== '0')) return training();
  const { startDashboardBeside } = await import('../dashboardBeside.ts');
  const stop = startDashboardBeside({
    runs,
    onMessage: (text) => {
      reporter.message(text);
    },
  });
  try {
    return await training();
  } finally {
    stop();
  }
}

/** The option may come several times, and name several changes with commas between. */
function collectChanges(text: string, before: readonly Change[] = []): readonly Change[] {
  const named = text.split(',').map((word) => {
    const change = CHANGES.find((each) => each === word.trim());
    if (change === undefined) throw new InvalidArgumentError(`Expected one of ${CHANGES.join(', ')}.`);
    return change;
  });
  return [...before, ...named];
}

/** Seconds of `90s`, `50m`, `1.5h`, or of a bare number. */
function parseDuration(text: string): number {
  const [, amount = '', unit = 's'] = /^(\d+(?:\.\d+)?)([smhd])?$/.exec(text) ?? [];
  const seconds = Number(amount) * (UNIT_SECONDS[unit] ?? NaN);
  if (amount === '' || !(seconds > 0)) {
    throw new InvalidArgumentError('Expected a time such as 90s, 50m or 2h.');
  }
  return seconds;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** What a training came to, for people. */
export function describeResult(result: TrainResult, command: 'train' | 'pretrain' = 'train'): string {
  const { selfSupervised } = result;
  const shown = (accuracy: number | null): string =>
    accuracy === null ? 'not measured' : formatPercent(accuracy, 2);
  const rows = [...result.networks, { name: 'ensemble', ...result.ensemble }].map((row) => [
    row.name,
    ...(row.validationAccuracy === undefined ? [] : [shown(row.validationAccuracy)]),
    shown(row.testAccuracy),
  ]);
  const isValidated = result.ensemble.validationAccuracy !== undefined;
  const { scoreName = selfSupervised === undefined ? 'accuracy' : 'accuracy by neighbours' } = result;
  const headings = ['network', ...(isValidated ? [`validation ${scoreName}`] : []), `test ${scoreName}`];
  const isFinished = result.status === 'finished';
  // A training that was stopped early has nothing to show yet.
  const isMeasured = [...result.networks, result.ensemble].some(
    ({ testAccuracy, validationAccuracy = null }) => testAccuracy !== null || validationAccuracy !== null,
  );
  return [
    ...(isMeasured ? [formatTable(headings, rows)] : []),
    ...describeSpread(selfSupervised?.spread ?? null),
    `${isFinished ? 'finished' : 'stopped'} after ${formatDuration(result.seconds)}; run folder: ${result.runFolder}`,
    ...(isFinished ? [] : [`to resume: ${shellCommand(['cohort', command, '--resume', result.runFolder])}`]),
  ].join('\n');
}

function describeSpread(spread: NonNullable<TrainResult['selfSupervised']>['spread']): string[] {
  if (spread === null) return [];
  const { alignment, uniformity, effectiveRank } = spread;
  return [
    `features of held-out pictures: alignment of two views ${formatTerm(alignment)} (0 is best), uniformity ${formatTerm(uniformity)} (lower is better), effective rank ${formatTerm(effectiveRank)} (higher is better)`,
  ];
}
