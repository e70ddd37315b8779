/** `cohort predict`: what the networks of a run see in image files, in folders of them, and in what a pipe brings. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ImagePrediction } from '../../inference/predictImages.ts';
import { runCommand, withCommonOptions, type CommandOutcome, type CommonOptions } from '../command.ts';
import type { CallOptions } from '../contracts.ts';
import type { CliEnvironment } from '../environment.ts';
import { EXIT_CODES, UsageError } from '../failures.ts';
import { predictionWriter, PREDICTION_FORMATS, type PredictionFormat } from '../predictionText.ts';
import { withRunsFolder, type RunsOptions } from './runs/options.ts';

interface PredictFlags extends CommonOptions, RunsOptions {
  readonly top: number;
  readonly checkpoint: string;
  readonly format?: PredictionFormat;
  readonly batch: number;
  readonly device?: string;
}

/** Adds the command. */
export function addPredictCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(program.command('predict')))
    .description('classify images with the networks of a run; exits with 1 where some could not be read')
    .argument('<run>', 'name of a run folder, the beginning of one, or a path')
    .argument(
      '<images...>',
      "image files, folders, patterns ('**/*.jpg'), or - for an image or paths on standard input",
    )
    .option('--top <count>', 'how many classes to name for each image', parseCount, 3)
    .addOption(
      new Option('--format <format>', 'how each result is written; left out: table').choices(
        PREDICTION_FORMATS,
      ),
    )
    .option(
      '--batch <count>',
      'images that go through the networks together: faster; last digits may change',
      parseCount,
      1,
    )
    .option(
      '--checkpoint <name>',
      'checkpoint to take: its name, last (the newest sound one) or best',
      'last',
    )
    .option('--device <name>', "what to compute on: auto, cpu, cuda or cuda:N; left out: the run's own")
    .action(async (run: string, images: string[], options: PredictFlags) => {
      const { format } = options;
      const exitCode = await runCommand(
        environment,
        options,
        (call) => predict(environment, run, images, options, call),
        { writesData: format === 'csv' || format === 'jsonl' },
      );
      setExitCode(exitCode);
    });
}

async function predict(
  environment: CliEnvironment,
  run: string,
  images: readonly string[],
  options: PredictFlags,
  { signal, reporter }: CallOptions,
): Promise<CommandOutcome> {
  const { top, checkpoint, batch, runs, json, format, device } = options;
  if (json === true && format !== undefined) {
    throw new UsageError('--json and --format both say how results are written. Leave one of them out.');
  }
  const writer = predictionWriter(format ?? 'table', top);
  const kept: ImagePrediction[] = [];
  let count = 0;
  let failed = 0;
  for await (const result of environment.actions.predictImages(run, images, {
    ...{ signal, reporter, top, checkpoint, batch, runs },
    ...(device === undefined ? {} : { device }),
  })) {
    count += 1;
    if ('error' in result) {
      failed += 1;
      reporter.warning(`${result.path}: ${result.error}`);
    }
    if (json === true) kept.push(result);
    else environment.stdout.write(writer.write(result));
  }
  if (json !== true) environment.stdout.write(writer.end());
  if (failed > 0) {
    reporter.warning(
      `${failed.toLocaleString('en-US')} of ${count.toLocaleString('en-US')} inputs could not be classified`,
    );
  }
  return {
    text: null,
    json: { predictions: kept, images: count - failed, failed },
    exitCode: failed > 0 ? EXIT_CODES.failure : EXIT_CODES.ok,
  };
}

function parseCount(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return count;
}
