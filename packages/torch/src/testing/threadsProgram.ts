/** Drives worker threads that compute, fail and are ended in the middle of a call; a crash ends this process. */
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { trainALittle } from './workerProgram.ts';

const start = (task: string): Worker =>
  new Worker(new URL('workerProgram.js', import.meta.url), { workerData: task });

/** The one message of a worker that ends by itself. */
async function answerOf(task: string): Promise<unknown> {
  const worker = start(task);
  const [answers]: unknown[][] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  return answers?.[0];
}

const mine = trainALittle();
const parallel = await Promise.all([answerOf('train'), answerOf('train'), answerOf('train')]);
const failures = await answerOf('fail');
const exitCodes: unknown[] = [];
for (const delayMs of [0, 1, 5, 20]) {
  const workers = [start('loop'), start('loop')];
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  await wait(delayMs);
  exitCodes.push(...(await Promise.all(workers.map((worker) => worker.terminate()))));
}
console.log(JSON.stringify({ mine, parallel, failures, exitCodes, again: trainALittle() }));
