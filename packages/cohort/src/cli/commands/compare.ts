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
    .description('train a recipe with several methods, same seeds and budget, and report the differences')
    .argument(
      '<recipe>',
      'recipe name or path, or a folder of images; with --report-only, a comparison folder or archive',
    )
    .option('--methods <names>', 'methods (see cohort methods), or names from --settings', parseNames, [
      'independent',
      'dml',
      'mcl',
    ])
    .option('--settings <file>', 'YAML file with settings for each method (docs/results.md)')
    .option('--baseline <name>', 'method to compare against (default: independent if listed, else the first)')
    .option('--skip-unfit', "skip methods that do not support the recipe's networks, with a message")
    .option(
      '--fractions <shares>',
      'fractions of the training images to train on, stratified: 0.1,0.25,0.5,1',
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
            methods,
            fractions,
            skipUnfit: options.skipUnfit === true,
            ...(settings === undefined ? {} : { settings }),
            ...(baseline === undefined ? {} : { baseline }),
          },
        ),
      );
    });
}
