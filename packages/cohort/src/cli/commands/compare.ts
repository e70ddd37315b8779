/** `cohort compare`: several methods on one recipe with the same seeds, and by how much each is better. */
import type { Command } from 'commander';
import {
  parseFractions,
  parseNames,
  runComparisonCommand,
  withComparisonOptions,
  type ComparisonOptions,
} from '../comparisonOptions.ts';
import type { CliEnvironment } from '../environment.ts';

interface CompareOptions extends ComparisonOptions {
  readonly methods: readonly string[];
  readonly settings?: string;
  readonly fractions: readonly number[];
  readonly baseline?: string;
  readonly skipUnfit?: true;
}

/** Adds the command. */
export function addCompareCommand(
  program: Command,
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): void {
  withComparisonOptions(program.command('compare'))
    .description(
      'train a recipe by several methods with the same seeds and budget, and report differences with intervals',
    )
    .argument(
      '<recipe>',
      'recipe by name or path, or folder of images; with --report-only a comparison folder or archive',
    )
    .option('--methods <names>', 'methods (cohort methods), or names of --settings', parseNames, [
      'independent',
      'dml',
      'mcl',
    ])
    .option('--settings <file>', 'YAML with a section of settings for each method (docs/results.md)')
    .option('--baseline <name>', 'what differences are to (left out: independent, or else the first)')
    .option('--skip-unfit', "leave methods that are not made for the recipe's networks out, and say so")
    .option(
      '--fractions <shares>',
      'shares of the training images, stratified, such as 0.1,0.25,0.5,1',
      parseFractions,
      [1],
    )
    .action(async (recipe: string, options: CompareOptions, command: Command) => {
      const { methods, settings, fractions, baseline } = options;
      setExitCode(
        await runComparisonCommand(
          recipe,
          options,
          environment,
          { argv, command },
          {
            ...{ methods, fractions, skipUnfit: options.skipUnfit === true },
            ...(settings === undefined ? {} : { settings }),
            ...(baseline === undefined ? {} : { baseline }),
          },
        ),
      );
    });
}
