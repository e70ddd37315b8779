/** `cohort train`: from a recipe and overrides to a run folder. */
import type { Command } from 'commander';
import { formatDuration, formatPercent } from '../train/progressText.ts';
import type { CommonOptions } from './command.ts';
import { runCommand, shellCommand, withCommonOptions } from './command.ts';
import type { TrainResult } from '../train/run.ts';
import type { CliEnvironment } from './environment.ts';
import { EXIT_CODES } from './failures.ts';
import { recipeOf, type RecipeOptions } from './recipeArgument.ts';
import { formatTable } from './table.ts';

interface TrainCommandOptions extends CommonOptions, RecipeOptions {
  readonly tensorboard?: string | true;
}

/** Adds the command. */
export function addTrainCommand(
  program: Command,
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('train'))
    .description(
      'train the cohort of a recipe, or one proposed for a folder of images, and write a run folder',
    )
    .argument(
      '<recipe>',
      'name of a recipe, path of a YAML file, folder of images (one sub-folder a class), or CSV',
    )
    .argument('[overrides...]', 'settings to change, as key=value with dotted paths and YAML values')
    .option('--strict', 'refuse broken image files instead of leaving them out')
    .option(
      '--tensorboard [folder]',
      'also write event files for TensorBoard, into FOLDER/RUN (left out: the run folder)',
    )
    .option('--save-recipe <file>', 'also write the recipe to a new file')
    .action(async (recipe: string, overrides: string[], options: TrainCommandOptions) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const resolved = await recipeOf(recipe, overrides, options, environment, call);
        const command = shellCommand(['cohort', ...argv]);
        const result = await environment.actions.trainRun(resolved, {
          ...call,
          command,
          ...(options.tensorboard === undefined ? {} : { tensorboard: options.tensorboard }),
        });
        const isInterrupted = result.status === 'interrupted';
        return {
          text: describeResult(result),
          json: result,
          exitCode: isInterrupted ? EXIT_CODES.interrupted : EXIT_CODES.ok,
        };
      });
      setExitCode(exitCode);
    });
}

function describeResult(result: TrainResult): string {
  const shown = (accuracy: number | null): string =>
    accuracy === null ? 'not measured' : formatPercent(accuracy, 2);
  const rows = [...result.networks, { name: 'ensemble', ...result.ensemble }].map((row) => [
    row.name,
    ...(row.validationAccuracy === undefined ? [] : [shown(row.validationAccuracy)]),
    shown(row.testAccuracy),
  ]);
  const isValidated = result.ensemble.validationAccuracy !== undefined;
  const headings = ['network', ...(isValidated ? ['validation accuracy'] : []), 'test accuracy'];
  const verb = result.status === 'interrupted' ? 'stopped' : 'finished';
  return [
    formatTable(headings, rows),
    `${verb} after ${formatDuration(result.seconds)}; run folder: ${result.runFolder}`,
  ].join('\n');
}
