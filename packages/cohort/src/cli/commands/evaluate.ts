/** `cohort evaluate`: how good the networks of a run are on its test, validation or training images. */
import { Option, type Command } from 'commander';
import { formatPercent } from '../../progress/progressText.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { SplitName } from '../../cohort/images.ts';
import type { Measured } from '../contracts.ts';
import type { CliEnvironment } from '../environment.ts';
import { formatTable } from '../table.ts';

interface EvaluateFlags {
  readonly split: SplitName;
  readonly checkpoint: string;
  readonly data?: string;
}

/** Adds the command. */
export function addEvaluateCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('evaluate'))
    .description('measure the networks of a run, and their ensemble, on its images')
    .argument('<run>', 'path of a run folder')
    .addOption(
      new Option('--split <name>', 'images to measure on')
        .choices(['test', 'validation', 'train'])
        .default('test'),
    )
    .option(
      '--checkpoint <name>',
      'checkpoint to take: its name, last (the newest sound one) or best',
      'last',
    )
    .option('--data <path>', 'folder of the images, where it is not the one that the run was trained on')
    .action(async (run: string, options: CommonOptions & EvaluateFlags) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const { split, checkpoint, data } = options;
        const result = await environment.actions.evaluateRun(run, {
          ...{ ...call, split, checkpoint },
          ...(data === undefined ? {} : { dataPath: data }),
        });
        const { split: measuredSplit, networks, ensemble } = result;
        return { text: describeResult(result), json: { split: measuredSplit, networks, ensemble } };
      });
      setExitCode(exitCode);
    });
}

function describeResult(result: Measured): string {
  const rows = [...result.networks, { name: 'ensemble', ...result.ensemble }].map((row) => [
    row.name,
    formatPercent(row.accuracy, 2),
    row.negativeLogLikelihood.toFixed(4),
    row.images.toLocaleString('en-US'),
  ]);
  return formatTable(['network', `${result.split} accuracy`, 'negative log-likelihood', 'images'], rows);
}
