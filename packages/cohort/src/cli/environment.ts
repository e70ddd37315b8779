/** The world as the command line sees it (streams, variables, clock, signals), passed in so that tests can stand in for it. */
import { recipesFolder } from '../recipes/folder.ts';
import type { ConsoleStream } from '../train/consoleReporter.ts';
import { commandActions } from './actions.ts';
import type { CommandActions } from './contracts.ts';

/** Everything outside the command line that it reads or touches. */
export interface CliEnvironment {
  readonly stdout: ConsoleStream;
  readonly stderr: ConsoleStream;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Calls the listener at every Ctrl-C, and when the system asks the process to end, until the function given back is called. */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** Leaves at once. */
  readonly exit: (code: number) => void;
  /** Where bare recipe names are looked up. */
  readonly recipesFolder: string;
  readonly actions: CommandActions;
}

/** The environment of this process. */
export function processEnvironment(): CliEnvironment {
  // A reader that went away (`| head`, a closed terminal) must not cost a training that has been running for hours.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    variables: process.env,
    now: () => performance.now(),
    onInterrupt: (listener) => {
      // SIGTERM is how schedulers, containers and `timeout` ask; what was learned is worth as much then.
      for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, listener);
      return () => {
        for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, listener);
      };
    },
    exit: (code) => process.exit(code),
    recipesFolder: recipesFolder(),
    actions: commandActions,
  };
}
