/** Starts the dashboard beside a training: a process of its own at low priority, so that no step waits for it. */
import { fork } from 'node:child_process';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';

/** What a training may be told by it. */
export interface BesideOptions {
  /** Folder that holds the runs. */
  readonly runs: string;
  /** Told the address, or why there is none. */
  readonly onMessage: (text: string) => void;
}

/** Well below a training's, which has the machine's threads for itself. */
const PRIORITY = 10;

/** Starts it. @returns a function that ends it */
export function startDashboardBeside({ runs, onMessage }: BesideOptions): () => void {
  const program = fileURLToPath(new URL('../../bin/cohort.js', import.meta.url));
  const child = fork(program, ['dashboard', '--runs', runs, '--quiet'], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString('utf8')).slice(-2000);
  });
  child.once('message', (message: unknown) => {
    if (typeof message === 'object' && message !== null && 'url' in message) {
      onMessage(
        `dashboard: ${String(message.url)} (until the training ends; then cohort dashboard shows it)`,
      );
    }
  });
  child.once('exit', (code) => {
    if (code !== 0 && code !== null)
      onMessage(`the dashboard did not start: ${errors.trim().replace(/^error: /, '')}`);
  });
  child.on('error', (error) => {
    onMessage(`the dashboard did not start: ${error.message}`);
  });
  if (child.pid !== undefined) lowerPriority(child.pid);
  return () => {
    child.removeAllListeners('exit');
    if (child.connected) child.disconnect();
    child.kill();
  };
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, PRIORITY);
  } catch {
    // It is gone already, or the system does not allow it; the dashboard works all the same.
  }
}
