/** `cohort evaluate`: how good the networks of a run are on its own images or on others, in all and by class. */
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { MeasuredSplit } from '../../inference/evaluationImages.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions, type CommandOutcome } from '../command.ts';
import type { CallOptions } from '../contracts.ts';
import type { CliEnvironment } from '../environment.ts';
import { evaluationCsv, evaluationJson, evaluationText } from '../evaluationText.ts';
import { describeFailure, UsageError, type Failure } from '../failures.ts';
import { taskEvaluationText } from '../taskText.ts';
import { withRunsFolder, type RunsOptions } from './runs/options.ts';

interface EvaluateFlags extends CommonOptions, RunsOptions {
  readonly split?: MeasuredSplit;
  readonly checkpoint: string;
  readonly data?: string;
  readonly unseen?: true;
  readonly csv?: string | true;
  readonly confusion: readonly string[];
  readonly network?: string;
  readonly device?: string;
}

/** Adds the command. */
export function addEvaluateCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(program.command('evaluate')))
    .description("measure a run's networks and their ensemble on its images or on others")
    .argument('<run>', 'run folder: its name, a unique prefix, or a path')
    .addOption(
      new Option('--split <name>', 'which images (default: test, or all of --data)').choices([
        'test',
        'validation',
        'train',
        'all',
      ]),
    )
    .option('--checkpoint <name>', 'checkpoint to use: its name, last (newest intact one) or best', 'last')
    .option('--data <source>', 'other images of any size: a folder, a table, or a dataset name')
    .option('--unseen', 'exclude images that the run was trained on')
    .option('--csv [file]', 'write scores per network and class as CSV, to a file or stdout')
    .option(
      '--confusion <file>',
      'write the confusion matrix as .csv or .svg (repeatable)',
      addConfusionFile,
      [],
    )
    .option('--network <name>', 'network for the confusion matrix (default: the ensemble)')
    .option('--device <name>', "device: auto, cpu, cuda or cuda:N (default: the run's own)")
    .action(async (run: string, options: EvaluateFlags) => {
      const { split, checkpoint, data, unseen, csv, confusion, network = 'ensemble', runs, device } = options;
      const exitCode = await runCommand(
        environment,
        options,
        async (call) => {
          if (csv === true && options.json === true) {
            throw new UsageError(
              '--csv without a file and --json both write to stdout. Add a file: --csv FILE.',
            );
          }
          assertFolders([...(typeof csv === 'string' ? [csv] : []), ...confusion]);
          const task = (await environment.actions.taskOf?.(run, { runs })) ?? null;
          if (task !== null) return evaluateTask(environment, run, task, options, call);
          const result = await environment.actions.evaluateRun(run, {
            ...call,
            checkpoint,
            runs,
            ...(split === undefined ? {} : { split }),
            ...(data === undefined ? {} : { dataPath: data }),
            ...(unseen === true ? { unseenOnly: true } : {}),
            ...(device === undefined ? {} : { device }),
            onOpened: ({ networks }) => {
              assertNetwork(network, networks);
            },
          });
          const { written, failure } = await writeFiles(result, { csv, confusion, network });
          for (const file of written) call.reporter.message(`wrote ${file}`);
          const text = csv === true ? evaluationCsv(result).trimEnd() : evaluationText(result, network);
          const json = evaluationJson(result);
          return {
            text,
            json: written.length === 0 ? json : { ...json, files: written },
            ...(failure === null ? {} : { failure }),
          };
        },
        { writesData: csv === true },
      );
      setExitCode(exitCode);
    });
}

/** Of a segmenter or detector, which has no use for what is about classes of whole images. */
async function evaluateTask(
  environment: CliEnvironment,
  run: string,
  task: string,
  options: EvaluateFlags,
  call: CallOptions,
): Promise<CommandOutcome> {
  const { split, checkpoint, data, device, runs } = options;
  const others = [
    ['--unseen', options.unseen],
    ['--csv', options.csv],
    ['--network', options.network],
    ['--confusion', options.confusion.length > 0 ? true : undefined],
    ['--split all', split === 'all' ? true : undefined],
  ].flatMap(([name, value]) => (value === undefined ? [] : [String(name)]));
  if (others.length > 0) {
    throw new UsageError(
      `${others.join(', ')}: not available for ${task}. Omit it; --json has all measures.`,
    );
  }
  const result = await environment.actions.evaluateTask?.(run, {
    ...call,
    checkpoint,
    runs,
    ...(split === undefined || split === 'all' ? {} : { split }),
    ...(data === undefined ? {} : { dataPath: data }),
    ...(device === undefined ? {} : { device }),
  });
  return { text: result === undefined ? null : taskEvaluationText(result), json: result ?? {} };
}

function addConfusionFile(path: string, before: readonly string[]): string[] {
  if (!/\.(csv|svg)$/i.test(path))
    throw new InvalidArgumentError('Expected a file that ends in .csv or .svg.');
  return [...before, path];
}

/** Measuring may take long, and would be in vain. @throws UsageError for files in folders that are not there, and folders */
function assertFolders(paths: readonly string[]): void {
  for (const path of paths) {
    const folder = dirname(resolve(path));
    if (existsSync(path) && statSync(path).isDirectory()) {
      throw new UsageError(`${path} is a folder. Name a file in it: ${join(path, 'evaluation.csv')}.`);
    }
    if (existsSync(folder)) continue;
    throw new UsageError(
      `There is no folder ${folder} to write ${path} to. Make it, or choose another file.`,
    );
  }
}

/** @throws UsageError for the name of no network of the run */
function assertNetwork(network: string, networks: readonly string[]): void {
  const names = [...networks, 'ensemble'];
  if (names.includes(network)) return;
  throw new UsageError(
    `--network ${network}: the run has no such network. Choose one of ${names.join(', ')}.`,
  );
}

/** Writes what was asked for, as far as it can: what was measured is not lost with a file that cannot be written. */
async function writeFiles(
  result: Parameters<typeof evaluationText>[0],
  {
    csv,
    confusion,
    network,
  }: {
    readonly csv: string | true | undefined;
    readonly confusion: readonly string[];
    readonly network: string;
  },
): Promise<{ readonly written: readonly string[]; readonly failure: Failure | null }> {
  const { details } = result;
  const names = result.networks.map(({ name }) => name);
  const matrix = details?.confusions[network === 'ensemble' ? names.length : names.indexOf(network)];
  const files: [path: string, content: string][] =
    typeof csv === 'string' ? [[csv, evaluationCsv(result)]] : [];
  if (matrix !== undefined && confusion.length > 0) {
    const { confusionCsv, confusionSvg } = await import('../../evaluate/confusionFiles.ts');
    for (const path of confusion) {
      const isCsv = path.toLowerCase().endsWith('.csv');
      const title = `${network} on ${details?.source ?? ''}`;
      files.push([path, isCsv ? confusionCsv(matrix) : confusionSvg(matrix, title)]);
    }
  }
  if (files.length === 0) return { written: [], failure: null };
  const { writeFileAtomic } = await import('@cohort-ml/runs');
  const written: string[] = [];
  let failure: Failure | null = null;
  for (const [path, content] of files) {
    try {
      writeFileAtomic(path, content);
      written.push(path);
    } catch (error) {
      failure ??= describeFailure(error);
    }
  }
  return { written, failure };
}
