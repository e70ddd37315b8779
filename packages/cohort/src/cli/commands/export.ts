/** `cohort export`: a network of a run as ONNX, for transformers.js, for PyTorch, or as a web page. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ExportManifest, ManifestModel } from '../../export/manifest.ts';
import type { ExportResult } from '../../export/exportRun.ts';
import type { TaskExportResult } from '../../export/tasks/exportTaskRun.ts';
import type { TaskExportManifest } from '../../export/tasks/taskManifest.ts';
import { exportFormats, precisions, type ExportFormat } from '../../export/options.ts';
import type { Precision } from '../../export/manifest.ts';
import { nearestName } from '../../support/nearestName.ts';
import { formatPercent } from '../../progress/progressText.ts';
import { runCommand, withCommonOptions, type CommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { formatTable } from '../table.ts';
import { withRunsFolder, type RunsOptions } from './runs/options.ts';
import { wholeNumber } from '../wholeNumber.ts';

interface ExportFlags extends CommonOptions, RunsOptions {
  readonly out?: string;
  readonly network?: string;
  readonly precision: readonly Precision[];
  readonly format: readonly ExportFormat[];
  readonly page?: true;
  readonly singleFile?: true;
  readonly force?: true;
  readonly checkpoint: string;
  readonly data?: string;
  readonly calibration?: number;
  readonly images?: number;
  readonly weightBits: '7' | '8';
  readonly maxLoss?: number;
}

/** Adds the command. */
export function addExportCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(program.command('export')))
    .description('write a network of a run for other programs, checked on test images before it is written')
    .argument('<run>', 'run folder: its name, a unique prefix, or a path')
    .option('--out <folder>', 'folder to write; left out: exports/ and the name of the run')
    .option(
      '--network <name>',
      'network of the run, ensemble or all; left out: best on validation images, or the first',
    )
    .option(
      '--precision <names>',
      `one or more of ${precisions.join(', ')}, separated by commas`,
      (text) => parseNames('precision', text, precisions),
      ['float32' as const],
    )
    .option(
      '--format <names>',
      `one or more of ${exportFormats.join(', ')}, separated by commas`,
      (text) => parseNames('format', text, exportFormats),
      ['onnx' as const],
    )
    .option('--page', 'add a web page that runs the network on pictures')
    .option('--single-file', 'make of the page one file that opens from disk')
    .option('--force', 'replace an exported folder that is there')
    .option(
      '--checkpoint <name>',
      'checkpoint to take: its name, last (the newest intact one) or best',
      'last',
    )
    .option('--data <path>', 'folder of the images, where it is not the one that the run was trained on')
    .option(
      '--images <count>',
      'test images to check on; left out: all, fewer for large networks',
      wholeNumber(1),
    )
    .option(
      '--calibration <count>',
      'training images that set the ranges of int8 (default: 256)',
      wholeNumber(1),
    )
    .addOption(
      new Option('--weight-bits <count>', 'bits of int8 weights; 7 for x86 processors without VNNI')
        .choices(['7', '8'])
        .default('8'),
    )
    .option(
      '--max-loss <points>',
      'points of accuracy that float16 and int8 may lose (default: 2)',
      parsePoints,
    )
    .action(async (run: string, flags: ExportFlags) => {
      const exitCode = await runCommand(environment, flags, async (call) => {
        const { out, network, precision, format, page, singleFile, force, checkpoint, runs } = flags;
        const result = await environment.actions.exportRun(run, {
          ...call,
          ...{
            out,
            network,
            precisions: precision,
            formats: format,
            page,
            singleFile,
            force,
            checkpoint,
            runs,
          },
          dataPath: flags.data,
          testImages: flags.images,
          calibrationImages: flags.calibration,
          weightBits: flags.weightBits === '7' ? 7 : 8,
          maximumLoss: flags.maxLoss,
        });
        return { text: describeExport(result), json: result };
      });
      setExitCode(exitCode);
    });
}

/** Names between commas. */
function parseNames<Name extends string>(what: string, text: string, known: readonly Name[]): Name[] {
  return text.split(',').map((part) => {
    const name = known.find((candidate) => candidate === part.trim());
    if (name !== undefined) return name;
    const nearest = nearestName(part.trim(), known);
    throw new InvalidArgumentError(
      `There is no ${what} '${part.trim()}'.${nearest === null ? '' : ` Did you mean '${nearest}'?`} Name one or more of ${known.join(', ')}, separated by commas.`,
    );
  });
}

function parsePoints(text: string): number {
  const points = /^\d{1,3}(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (!(points <= 100)) throw new InvalidArgumentError('Expected a number from 0 to 100.');
  return points;
}

function describeExport({ folder, bytes, manifest }: ExportResult | TaskExportResult): string {
  const tables =
    manifest.format === 'cohort-task-export'
      ? [describeTaskModels(manifest)]
      : manifest.models.length === 0
        ? [describeTrained(manifest)]
        : [describeModels(manifest)];
  return [...tables, `wrote ${folder} (${kibibytes(bytes)}); README.md says how to use it`].join('\n');
}

/** Every file of a segmenter or detector, output by output. */
function describeTaskModels({ models }: TaskExportManifest): string {
  return formatTable(
    ['file', 'size', 'output', 'run by', 'images', 'same class', 'error'],
    models.flatMap(({ path, bytes, parity }) =>
      parity.flatMap(({ program, images, outputs }) =>
        outputs.map(({ name, relativeError, agreement }) => [
          path,
          kibibytes(bytes),
          name,
          program,
          `${images}`,
          agreement === null ? '-' : formatPercent(agreement, 2),
          relativeError.toExponential(1),
        ]),
      ),
    ),
  );
}

function describeTrained({ networks }: ExportManifest): string {
  return formatTable(
    ['network', 'test accuracy'],
    networks.map(({ name, trained }) => [name, formatPercent(trained.accuracy, 2)]),
  );
}

/** Every file as every program runs it, compared with the trained network on the same images. */
function describeModels({ models }: ExportManifest): string {
  return formatTable(
    ['file', 'size', 'network', 'run by', 'images', 'trained', 'accuracy', 'same class', 'score error'],
    models.flatMap(rowsOf),
  );
}

function rowsOf({ path, bytes, parity }: ManifestModel): string[][] {
  return parity.flatMap(({ program, networks }) =>
    networks.map(({ name, images, accuracy, trainedAccuracy, agreement, relativeError }) => [
      path,
      kibibytes(bytes),
      name,
      program,
      images.toLocaleString('en-US'),
      formatPercent(trainedAccuracy, 2),
      formatPercent(accuracy, 2),
      formatPercent(agreement, 2),
      relativeError.toExponential(1),
    ]),
  );
}

function kibibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024).toLocaleString('en-US')} KiB`;
}
