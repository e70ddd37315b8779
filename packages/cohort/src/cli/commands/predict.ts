/** `cohort predict`: what the networks of a run see in image files. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { formatPercent } from '../../progress/progressText.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { LabelProbability, Prediction } from '../../inference/predictRun.ts';
import type { CliEnvironment } from '../environment.ts';

interface PredictCommandOptions extends CommonOptions {
  readonly top: number;
  readonly checkpoint: string;
}

/** Adds the command. */
export function addPredictCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('predict'))
    .description('classify image files with the networks of a run')
    .argument('<run>', 'path of a run folder')
    .argument('<images...>', 'paths of image files (JPEG, PNG, WebP and others)')
    .option('--top <count>', 'how many classes to name for each image', parseCount, 3)
    .option(
      '--checkpoint <name>',
      'checkpoint to take: its name, last (the newest sound one) or best',
      'last',
    )
    .action(async (run: string, images: string[], options: PredictCommandOptions) => {
      const { top, checkpoint } = options;
      const exitCode = await runCommand(environment, options, async (call) => {
        const predictions = await environment.actions.predictRun(run, images, {
          ...{ ...call, top, checkpoint },
        });
        return { text: predictions.map(describePrediction).join('\n'), json: { predictions } };
      });
      setExitCode(exitCode);
    });
}

function parseCount(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return count;
}

function describePrediction({ path, top, perNetwork }: Prediction): string {
  const networks = perNetwork.map(({ name, top: seen }) => `  ${name}: ${describeClasses(seen)}`);
  return [`${path}: ${describeClasses(top)}`, ...(perNetwork.length > 1 ? networks : [])].join('\n');
}

function describeClasses(classes: readonly LabelProbability[]): string {
  return classes.map(({ label, probability }) => `${label} ${formatPercent(probability)}`).join(', ');
}
