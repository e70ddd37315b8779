/**
 * How a rank shows its launcher that it lives: a worker thread writes to a pipe that the launcher holds, also while the main
 * thread computes or waits for other ranks. When the launcher has gone, so has its end of the pipe, and the rank ends itself.
 */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { StepEvent } from '../progress/reporter.ts';

/** Names the pipe's file descriptor for a rank that a launcher started. */
export const pipeVariable = 'COHORT_LAUNCH_PIPE';

/** Between two signs of life. */
export const beatMs = 500;

/** What a rank tells its launcher, one line of JSON each. */
export type RankMessage =
  /** It lives; steps done so far, over all epochs. */
  | { readonly kind: 'beat'; readonly step: number }
  /** The run that it trains; from the first rank. */
  | { readonly kind: 'run'; readonly path: string }
  /** It ends by an error that it has told; victims lost the connection to another rank. */
  | { readonly kind: 'failed'; readonly error: string; readonly message: string; readonly isVictim: boolean };

/** The rank's end of the pipe. */
export interface LaunchPipe {
  step(event: StepEvent): void;
  tell(message: RankMessage): void;
  close(): Promise<unknown>;
}

/** Runs in the worker: no file of its own, so that it needs no path that builds and tests would have to agree on. */
const beating = `
const { workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const step = new Int32Array(workerData.step);
const beat = () => {
  try {
    writeSync(workerData.pipe, JSON.stringify({ kind: 'beat', step: Atomics.load(step, 0) }) + '\\n');
  } catch (error) {
    // A launcher that is slow to read leaves the pipe full; one that has gone leaves it broken.
    if (error.code !== 'EAGAIN') process.kill(process.pid, 'SIGKILL');
  }
};
beat();
setInterval(beat, workerData.beatMs);
`;

/** Opens the pipe that the launcher named; null for a process without a launcher. */
export function openLaunchPipe(variables: Readonly<Record<string, string | undefined>>): LaunchPipe | null {
  const pipe = Number(variables[pipeVariable] ?? NaN);
  if (!Number.isInteger(pipe)) return null;
  const steps = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const counter = new Int32Array(steps);
  const worker = new Worker(beating, { eval: true, workerData: { pipe, step: steps, beatMs } });
  worker.unref();
  const tell = (message: RankMessage): void => {
    try {
      writeSync(pipe, `${JSON.stringify(message)}\n`);
    } catch {
      // The worker ends the process where the launcher has gone.
    }
  };
  return {
    step: ({ epoch, stepsPerEpoch, step }) => {
      const done = (epoch - 1) * stepsPerEpoch + step;
      // The first at once: whether a rank ended before it or after must not depend on the time of a beat.
      if (Atomics.exchange(counter, 0, done) === 0) tell({ kind: 'beat', step: done });
    },
    tell,
    close: () => worker.terminate(),
  };
}
