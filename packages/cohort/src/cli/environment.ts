/** The world as the command line sees it (streams, variables, clock, signals), passed in so that tests can stand in for it. */
import type { Writable } from 'node:stream';
import { recipesFolder } from '../recipes/folder.ts';
import type { ConsoleStream } from '../progress/consoleReporter.ts';
import { commandActions } from './actions.ts';
import type { CommandActions } from './contracts.ts';
import { EXIT_CODES } from './failures.ts';

/** Signals that ask a process to end: of the keyboard, and of schedulers, containers and `timeout`. */
export type InterruptSignal = 'SIGINT' | 'SIGTERM';

/** Everything outside the command line that it reads or touches. */
export interface CliEnvironment {
  readonly stdout: ConsoleStream;
  readonly stderr: ConsoleStream;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Calls the listener at every Ctrl-C, and when the system asks the process to end, until the function given back is called. */
  readonly onInterrupt: (listener: (signal: InterruptSignal) => void) => () => void;
  /** Asks the user a question; null where nobody can be asked, since input or output is no terminal. */
  readonly ask: ((question: string) => Promise<string>) | null;
  /** Leaves at once, as an interrupted program does. */
  readonly exit: (code: number) => void;
  /** Leaves so after a few seconds where something keeps the process alive: a read that a drive does not answer. */
  readonly exitSoon: (code: number) => void;
  /** Where bare recipe names are looked up. */
  readonly recipesFolder: string;
  readonly actions: CommandActions;
}

/** The environment of this process. */
export function processEnvironment(): CliEnvironment {
  outliveBrokenStreams(process.stdout, process.stderr, () => {
    process.once('exit', (code) => {
      if (code === EXIT_CODES.ok) process.exitCode = EXIT_CODES.failure;
    });
  });
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    variables: process.env,
    now: () => performance.now(),
    onInterrupt: (listener) => {
      // SIGTERM is how schedulers, containers and `timeout` ask; what was learned is worth as much then.
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, listener);
      return () => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, listener);
      };
    },
    ask: process.stdin.isTTY && process.stdout.isTTY ? askInTerminal : null,
    exit: dieOfSignal,
    exitSoon: (code) => {
      // A timer that is not referenced runs only if something else does.
      setTimeout(dieOfSignal, 3000, code).unref();
    },
    recipesFolder: recipesFolder(),
    actions: commandActions,
  };
}

/**
 * Ends the process by the signal that it was sent, for which shells show 130 or 143. `process.exit` would wait for reads
 * that are under way, for ever where a drive does not answer.
 */
function dieOfSignal(code: number): void {
  const signal: InterruptSignal = code === EXIT_CODES.terminated ? 'SIGTERM' : 'SIGINT';
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** An end of input (Ctrl-D) is an empty answer. */
async function askInTerminal(question: string): Promise<string> {
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  return new Promise((resolve) => {
    lines.once('close', () => {
      resolve('');
    });
    lines.question(question, (answer) => {
      resolve(answer);
      lines.close();
    });
  });
}

/**
 * A reader that went away (`| head`) or a full disk behind `> log` must not cost a training that has been running for hours.
 *
 * @param onLoss called when something could not be written that a reader waits for
 */
export function outliveBrokenStreams(stdout: Writable, stderr: Writable, onLoss: () => void): void {
  stdout.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    stderr.write(
      `error: standard output cannot be written (${error.message}); the rest of the output is lost.\n`,
    );
    onLoss();
  });
  for (const stream of [stdout, stderr]) stream.on('error', () => undefined);
}
