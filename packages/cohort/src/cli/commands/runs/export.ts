/** `cohort runs export`: metrics of runs for other programs. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { ExportFilter, RunReader } from '@cohort-ml/runs';
import { shellCommand } from '../../../support/shellCommand.ts';
import { runCommand, withCommonOptions, type CommandOutcome, type CommonOptions } from '../../command.ts';
import type { CliEnvironment } from '../../environment.ts';
import { findRun, withRunsFolder, type RunsOptions } from './options.ts';

const FORMATS = ['jsonl', 'csv', 'tensorboard'] as const;

interface ExportOptions extends CommonOptions, RunsOptions {
  readonly format: (typeof FORMATS)[number];
  readonly output?: string;
  readonly force?: true;
  readonly kind?: 'step' | 'epoch';
  readonly metrics?: readonly string[];
}

/** Adds the command. */
export function addRunsExportCommand(
  runs: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(runs.command('export')))
    .description('export the metrics of runs as JSON Lines, CSV, or event files for TensorBoard')
    .argument('<runs...>', 'run folders: names, unique prefixes, or paths')
    .addOption(new Option('--format <format>', 'what to write').choices(FORMATS).default('jsonl'))
    .option('--output <path>', 'new file (default: stdout), or folder for event files')
    .option('--force', 'overwrite an existing file')
    .addOption(new Option('--kind <kind>', 'only step or epoch records').choices(['step', 'epoch']))
    .option('--metrics <names...>', 'only these metrics or groups: accuracy, total')
    .action(async (names: string[], options: ExportOptions) => {
      const exitCode = await runCommand(environment, options, async (call) => {
        const { openRun } = await import('@cohort-ml/runs');
        const readers: RunReader[] = [];
        for (const name of names) {
          const { store, details } = await findRun(name, options, call);
          store.close();
          readers.push(openRun(details.path));
        }
        return options.format === 'tensorboard'
          ? exportEvents(readers, options)
          : exportText(readers, options, environment);
      });
      setExitCode(exitCode);
    });
}

async function exportEvents(runs: readonly RunReader[], { output }: ExportOptions): Promise<CommandOutcome> {
  const { exportEventFile, RunError } = await import('@cohort-ml/runs');
  if (output === undefined) {
    throw new RunError(
      'invalid',
      '--output',
      'event files need a folder',
      { remedy: 'Add --output FOLDER.' },
    );
  }
  const files = runs.map((run) => exportEventFile(run, join(output, run.info.id)));
  return {
    text: `${files.map((file) => `wrote ${file}`).join('\n')}\nlook at them with: ${shellCommand(['tensorboard', '--logdir', output])}`,
    json: { format: 'tensorboard', files: files.map((file) => resolve(file)) },
  };
}

async function exportText(
  runs: readonly RunReader[],
  { format, output, force, kind, metrics, json }: ExportOptions,
  { stdout }: CliEnvironment,
): Promise<CommandOutcome> {
  const { csvLines, jsonLines, RunError, writeFileAtomic } = await import('@cohort-ml/runs');
  const filter: ExportFilter = {
    ...(kind === undefined ? {} : { kind }),
    ...(metrics === undefined ? {} : { metrics }),
  };
  const lines = format === 'csv' ? csvLines(runs, filter) : jsonLines(runs, filter);
  if (output === undefined) {
    if (json === true) {
      throw new RunError(
        'invalid',
        '--output',
        '--json uses stdout for its own line',
        { remedy: 'Add --output FILE for the metrics.' },
      );
    }
    for (const line of lines) stdout.write(line);
    return { text: null, json: {} };
  }
  if (existsSync(output) && force !== true) {
    throw new RunError(
      'io',
      output,
      `cannot export to ${output}: the file already exists`,
      { remedy: 'Choose another name, or add --force.' },
    );
  }
  const text = [...lines].join('');
  writeFileAtomic(output, text);
  return {
    text: `wrote ${output}`,
    json: { format, files: [resolve(output)], bytes: Buffer.byteLength(text) },
  };
}
