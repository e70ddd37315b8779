/** `cohort ablate`: what each part of mutual contrastive learning does on a recipe, in one table. */
import type { Command } from 'commander';
import { runComparisonCommand, withComparisonOptions, type ComparisonOptions } from '../comparisonOptions.ts';
import type { CliEnvironment } from '../environment.ts';

/** Adds the command. */
export function addAblateCommand(
  program: Command,
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): void {
  withComparisonOptions(program.command('ablate'))
    .description('train with parts of MCL and L-MCL removed or alone, and report what each contributes')
    .argument(
      '<recipe>',
      'recipe name or path, or a folder of images; with --report-only, a comparison folder or archive',
    )
    .action(async (recipe: string, options: ComparisonOptions, command: Command) => {
      setExitCode(
        await runComparisonCommand(
          recipe,
          options,
          environment,
          { argv, command },
          {
            methods: null,
            fractions: [1],
            skipUnfit: false,
          },
        ),
      );
    });
}
