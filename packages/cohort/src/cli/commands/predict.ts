/** `cohort predict`: what the networks of a run see in image files, in folders of them, and in what a pipe brings. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ImagePrediction } from '../../inference/predictImages.ts';
import type { TaskImagePrediction } from '../../transfer/training/predictTaskRun.ts';
import { runCommand, withCommonOptions, type CommandOutcome, type CommonOptions } from '../command.ts';
import type { CallOptions } from '../contracts.ts';
import type { CliEnvironment } from '../environment.ts';
import { EXIT_CODES, UsageError } from '../failures.ts';
import { predictionWriter, PREDICTION_FORMATS, type PredictionFormat } from '../predictionText.ts';
import { taskPredictionText } from '../taskText.ts';
import { withRunsFolder, type RunsOptions } from './runs/options.ts';
import { wholeNumber } from '../wholeNumber.ts';

interface PredictFlags extends CommonOptions, RunsOptions {
  readonly top: number;
  readonly checkpoint: string;
  readonly format?: PredictionFormat;
  readonly batch: number;
  readonly device?: string;
  readonly out?: string;
  readonly least?: number;
}

/** Adds the command. */
export function addPredictCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(program.command('predict')))
    .description("classify images with a run's networks (exit code 1 if any could not be read)")
    .argument('<run>', 'run folder: its name, a unique prefix, or a path')
    .argument(
      '<images...>',
      "image files, folders, patterns ('**/*.jpg'), or - to read an image or paths from stdin",
    )
    .option('--top <count>', 'number of classes to list per image', wholeNumber(1, 999_999), 3)
    .addOption(new Option('--format <format>', 'output format (default: table)').choices(PREDICTION_FORMATS))
    .option(
      '--batch <count>',
      'images to run at once: faster, but last digits may differ',
      wholeNumber(1, 999_999),
      1,
    )
    .option('--checkpoint <name>', 'checkpoint to use: its name, last (newest intact one) or best', 'last')
    .option('--out <folder>', 'of a detector or segmenter: write pictures with boxes or masks into a folder')
    .option('--least <score>', 'of a detector: the least score of an object (default: 0.3)', parseShare)
    .option('--device <name>', "device: auto, cpu, cuda or cuda:N (default: the run's own)")
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
    throw new UsageError('--json and --format cannot be combined. Omit one of them.');
  }
  const task = (await environment.actions.taskOf?.(run, { runs })) ?? null;
  if (task !== null) return predictTask(environment, run, images, options, { signal, reporter });
  for (const [name, value] of [
    ['--out', options.out],
    ['--least', options.least],
  ]) {
    if (value !== undefined) throw new UsageError(`${name}: ${run} classifies whole images. Omit it.`);
  }
  const writer = predictionWriter(format ?? 'table', top);
  const kept: ImagePrediction[] = [];
  let count = 0;
  let failed = 0;
  for await (const result of environment.actions.predictImages(run, images, {
    signal,
    reporter,
    top,
    checkpoint,
    batch,
    runs,
    ...(device === undefined ? {} : { device }),
    onOpened: (opened) => {
      if (json !== true) environment.stdout.write(writer.begin(opened));
    },
  })) {
    count += 1;
    if ('error' in result) {
      failed += 1;
      reporter.warning(`${result.path}: ${result.error}`);
    }
    if (json === true) kept.push(result);
    else environment.stdout.write(writer.write(result));
  }
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

/** Objects or masks in place of classes. */
async function predictTask(
  environment: CliEnvironment,
  run: string,
  images: readonly string[],
  options: PredictFlags,
  call: CallOptions,
): Promise<CommandOutcome> {
  const { checkpoint, runs, json, format, device, out, least = 0.3 } = options;
  if (format === 'csv') throw new UsageError('--format csv is for classes of whole images. Choose jsonl.');
  const kept: TaskImagePrediction[] = [];
  let count = 0;
  let failed = 0;
  const results = environment.actions.predictTask?.(run, images, {
    ...call,
    checkpoint,
    runs,
    least,
    ...(device === undefined ? {} : { device }),
    ...(out === undefined ? {} : { out }),
  });
  for await (const result of results ?? []) {
    count += 1;
    if ('error' in result) {
      failed += 1;
      call.reporter.warning(`${result.path}: ${result.error}`);
    }
    if (json === true) kept.push(result);
    else if (format === 'jsonl') environment.stdout.write(`${JSON.stringify(result)}\n`);
    else if (!('error' in result)) environment.stdout.write(`${taskPredictionText(result)}\n`);
  }
  return {
    text: null,
    json: { predictions: kept, images: count - failed, failed },
    exitCode: failed > 0 ? EXIT_CODES.failure : EXIT_CODES.ok,
  };
}

function parseShare(text: string): number {
  const share = text.trim() === '' ? NaN : Number(text);
  if (!(share >= 0 && share <= 1)) throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return share;
}
