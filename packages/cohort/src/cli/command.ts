/** What every command has in common: --json and --quiet, one reporter, Ctrl-C, and how results and failures are shown. */
import type { Command } from 'commander';
import { ConsoleReporter } from '../progress/consoleReporter.ts';
import { printable } from '../support/printable.ts';
import type { CallOptions } from './contracts.ts';
import type { CliEnvironment } from './environment.ts';
import type { Failure } from './failures.ts';
import { EXIT_CODES, describeFailure } from './failures.ts';

/** Options of every command. */
export interface CommonOptions {
  readonly json?: true;
  readonly quiet?: true;
}

/** What a command came to. */
export interface CommandOutcome {
  /** For people, on stdout without `--json`; null where the command has written its result itself. */
  readonly text: string | null;
  /** For programs, one line on stdout with `--json`. */
  readonly json: object;
  /** 0 unless given. */
  readonly exitCode?: number;
  /** What failed after the result was there, such as writing it to a file: shown below the result. */
  readonly failure?: Failure;
}

/** Adds the options of every command. */
export function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON object as the last line of stdout; progress and messages go to stderr')
    .option('--quiet', 'show only results, warnings and errors');
}

/** How a command's results and messages are kept apart. */
export interface OutputOptions {
  /** Stdout is for data that the command writes itself: messages go to stderr, as they do with `--json`. */
  readonly writesData?: boolean;
  /** What is said when the command is asked to stop; null for nothing. */
  readonly stopping?: string | null;
}

/** Commands that train finish the step at hand when they are asked to stop. */
export const TRAINING: OutputOptions = {
  stopping: 'stopping after this step and keeping what is done; press Ctrl-C again to quit at once',
};

/** Runs a command's body and shows what it came to; gives back the exit code and never rejects. */
export async function runCommand(
  environment: CliEnvironment,
  options: CommonOptions,
  body: (call: CallOptions) => Promise<CommandOutcome>,
  { writesData = false, stopping = 'stopping; press Ctrl-C again to quit at once' }: OutputOptions = {},
): Promise<number> {
  const isJson = options.json === true;
  const reporter = new ConsoleReporter({
    output: isJson || writesData ? environment.stderr : environment.stdout,
    warnings: environment.stderr,
    variables: environment.variables,
    now: environment.now,
    memoryBytes: () => process.memoryUsage.rss(),
    quiet: options.quiet === true,
  });
  const stop = new AbortController();
  let interruptedCode: number = EXIT_CODES.interrupted;
  const removeListener = environment.onInterrupt((signal) => {
    interruptedCode = signal === 'SIGTERM' ? EXIT_CODES.terminated : EXIT_CODES.interrupted;
    if (stop.signal.aborted) {
      reporter.close();
      environment.exit(interruptedCode);
      return;
    }
    stop.abort();
    if (stopping !== null) reporter.warning(stopping);
  });
  try {
    const { text, json, exitCode, failure } = await body({ signal: stop.signal, reporter });
    reporter.close();
    if (isJson) environment.stdout.write(jsonLine(failure === undefined ? json : withFailure(json, failure)));
    else if (text !== null) environment.stdout.write(`${text}\n`);
    if (failure !== undefined) {
      showFailure(environment, failure, false);
      return failure.exitCode;
    }
    return exitCode === EXIT_CODES.interrupted ? interruptedCode : (exitCode ?? EXIT_CODES.ok);
  } catch (error) {
    reporter.close();
    if (stop.signal.aborted && isAbort(error, stop.signal)) {
      if (isJson) environment.stdout.write(jsonLine({ status: 'interrupted' }));
      return interruptedCode;
    }
    const failure = describeFailure(error);
    showFailure(environment, failure, isJson);
    return failure.exitCode;
  } finally {
    removeListener();
    if (stop.signal.aborted) environment.exitSoon(interruptedCode);
  }
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError');
}

/** One message on stderr, and with `--json` the same as an object on stdout, so that a program always finds one. */
export function showFailure(environment: CliEnvironment, failure: Failure, isJson: boolean): void {
  const { exitCode, kind, message, stack, problems } = failure;
  environment.stderr.write(`error: ${printable(message)}\n${stack === undefined ? '' : `${stack}\n`}`);
  if (!isJson) return;
  const error = { kind, message, exitCode, ...(problems === undefined ? {} : { problems }) };
  environment.stdout.write(jsonLine({ status: 'failed', error }));
}

function withFailure(result: object, { exitCode, kind, message }: Failure): object {
  return { ...result, status: 'failed', error: { kind, message, exitCode } };
}

/** JSON has no NaN and no infinity; they are written as text, as in the run folder's metrics. */
function jsonLine(value: object): string {
  const text = JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'number' && !Number.isFinite(part) ? String(part) : part,
  );
  return `${text}\n`;
}
