/** The `cohort` command: builds the program, runs it, and gives back the exit code. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { widthOf } from '../progress/consoleReporter.ts';
import { addAblateCommand } from './commands/ablate.ts';
import { addBenchCommand } from './commands/bench.ts';
import type { CommonOptions } from './command.ts';
import { shellCommand } from '../support/shellCommand.ts';
import { runCommand, TRAINING, showFailure, withCommonOptions } from './command.ts';
import { addCompareCommand } from './commands/compare.ts';
import { addDashboardCommand } from './commands/dashboard.ts';
import { addDataCommands } from './commands/data.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import type { CliEnvironment } from './environment.ts';
import { processEnvironment } from './environment.ts';
import { addEvaluateCommand } from './commands/evaluate.ts';
import { addExportCommand } from './commands/export.ts';
import { EXIT_CODES, describeFailure } from './failures.ts';
import { commandNotes, shortHelp, trainNotes } from './help.ts';
import { addLaunchCommand } from './commands/launch.ts';
import { addImportCommand } from './commands/import.ts';
import { addMethodsCommand } from './commands/methods.ts';
import { addModelsCommand } from './commands/models.ts';
import { addPretrainCommand } from './commands/pretrain.ts';
import { addPredictCommand } from './commands/predict.ts';
import { addProbeCommand } from './commands/probe.ts';
import { addRunsCommands } from './commands/runs/index.ts';
import { addSetupCommand } from './commands/setup.ts';
import { addTrainCommand } from './commands/train.ts';
import { addWeightsCommands } from './commands/weights.ts';

/**
 * Runs `cohort` with these arguments.
 * @param argv - the words after `cohort`.
 * @returns the exit code; failures have been shown by then.
 */
export async function main(
  argv: readonly string[],
  environment: CliEnvironment = processEnvironment(),
): Promise<number> {
  let exitCode: number = EXIT_CODES.ok;
  const program = buildProgram(environment, argv, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has written help, version or its own message by now.
    if (error instanceof CommanderError) return usageExitCode(error, environment, argv);
    const failure = describeFailure(error);
    showFailure(environment, failure, wantsJson(argv));
    return failure.exitCode;
  }
}

function usageExitCode(error: CommanderError, environment: CliEnvironment, argv: readonly string[]): number {
  if (error.exitCode === 0) return EXIT_CODES.ok;
  if (wantsJson(argv)) {
    // Commander begins its messages as they are shown on stderr.
    const message = error.message.replace(/^error: /, '');
    const details = { kind: 'UsageError', message, exitCode: EXIT_CODES.usage };
    environment.stdout.write(`${JSON.stringify({ status: 'failed', error: details })}\n`);
  }
  return EXIT_CODES.usage;
}

/** How to write the name of a file that was taken for an unknown option; empty for anything else. */
function hintOfDash(text: string): string {
  const file = /unknown option '(-[^']*[./\\][^']*)'/.exec(text)?.[1];
  return file === undefined
    ? ''
    : `A file whose name begins with a dash is written with its folder: ./${file}\n`;
}

/** How `compare` and `ablate` take the settings that `train` takes as they are; empty for anything else. */
function hintOfSetting(text: string, argv: readonly string[]): string {
  if (!/too many arguments for '(?:compare|ablate)'/.test(text)) return '';
  const setting = argv.find((word) => /^[a-z][\w.]*=/i.test(word));
  return setting === undefined
    ? ''
    : `Settings are changed with --set: ${shellCommand(['--set', setting])}\n`;
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json');
}

function buildProgram(
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): Command {
  const { stdout, stderr } = environment;
  const program = new Command('cohort')
    .description('Train small networks that teach each other by mutual contrastive learning.')
    .version(packageVersion(), '--version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    // What follows `launch`'s own arguments is for the command that it launches.
    .enablePositionalOptions()
    .usage('<command> [arguments] [options]')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => {
        write(`${text}${hintOfDash(text)}${hintOfSetting(text, argv)}`);
      },
      getOutHelpWidth: () => widthOf(stdout, 100),
      getErrHelpWidth: () => widthOf(stderr, 100),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError('Run cohort --help for the commands, and cohort COMMAND --help for details.');
  addTrainCommand(program, environment, argv, setExitCode);
  addPretrainCommand(program, environment, argv, setExitCode);
  addLaunchCommand(program, environment, argv, setExitCode);
  addEvaluateCommand(program, environment, setExitCode);
  addPredictCommand(program, environment, setExitCode);
  addExportCommand(program, environment, setExitCode);
  addProbeCommand(program, environment, argv, setExitCode);
  addCompareCommand(program, environment, argv, setExitCode);
  addAblateCommand(program, environment, argv, setExitCode);
  addModelsCommand(program, environment, setExitCode);
  addMethodsCommand(program, environment, setExitCode);
  addRunsCommands(program, environment, setExitCode);
  addDashboardCommand(program, environment, packageVersion(), setExitCode);
  addDataCommands(program, environment, setExitCode);
  addImportCommand(program, environment, setExitCode);
  addWeightsCommands(program, environment, setExitCode);
  addSetupCommand(program, environment, setExitCode);
  addDoctorCommand(program, environment, setExitCode);
  addBenchCommand(program, environment, setExitCode);
  addDemoCommand(program, environment, argv, setExitCode);
  // Set after the commands are made: each of them keeps commander's own page.
  program.configureHelp({ formatHelp: shortHelp });
  for (const command of program.commands.flatMap(leafCommands)) {
    command.addHelpText('after', () =>
      command.name() === 'train' ? trainNotes(environment.recipesFolder) : commandNotes(pathOf(command)),
    );
  }
  return program;
}

/** The command with the group that it belongs to: `runs list`. */
function pathOf(command: Command): string {
  const group = command.parent?.parent == null ? '' : `${command.parent.name()} `;
  return `${group}${command.name()}`;
}

/** `data` itself does nothing: `data list`, `data check` and `data fetch` do. */
function leafCommands(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leafCommands);
}

function addDemoCommand(
  program: Command,
  environment: CliEnvironment,
  argv: readonly string[],
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('demo'))
    .description('train two networks alone and together on Fashion-MNIST, and compare')
    .action(async (options: CommonOptions) => {
      const exitCode = await runCommand(
        environment,
        options,
        async (call) => {
          const command = shellCommand(['cohort', ...argv]);
          const { report, measured, status } = await environment.actions.runDemo({ ...call, command });
          return {
            text: report,
            json: { status, ...measured },
            exitCode: status === 'interrupted' ? EXIT_CODES.interrupted : EXIT_CODES.ok,
          };
        },
        TRAINING,
      );
      setExitCode(exitCode);
    });
}

/** Two folders up from `src/cli` as from `dist/cli`. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  const isManifest = typeof parsed === 'object' && parsed !== null && 'version' in parsed;
  return isManifest && typeof parsed.version === 'string' ? parsed.version : 'unknown';
}
