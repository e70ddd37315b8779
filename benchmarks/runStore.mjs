/**
 * Measures how much of a step goes into recording it: with the run folder alone, with the run store, and with event files as
 * well. Steps are waits of a given length, far shorter than real ones; two trainings write into one store at the same time.
 *
 *   node benchmarks/runStore.mjs [steps] [milliseconds per step]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createRun, EventFileObserver, openStore, StoreFeed } from '../packages/runs/dist/index.js';

const [steps = 2000, stepMs = 5] = process.argv.slice(2).map(Number);
const names = [
  'classification',
  'vcl',
  'icl',
  'softVcl',
  'softIcl',
  'logit',
  'matchWeight',
  'metaLoss',
  'total',
];
const tell = (text) => console.error(text);

/** Runs a training's records and gives back the milliseconds that recording took, in all and at most. */
async function train(root, observe) {
  const run = createRun({ root, name: 'bench', recipe: 'name: bench\n', environment: {}, command: 'bench' });
  observe(run);
  let total = 0;
  let longest = 0;
  const startedAt = performance.now();
  for (let step = 1; step <= steps; step += 1) {
    await setTimeout(stepMs);
    const before = performance.now();
    const values = Object.fromEntries(names.map((name) => [name, Math.random()]));
    const isEpoch = step % 100 === 0;
    run.metrics({
      kind: 'step',
      step,
      epoch: 1 + Math.floor(step / 100),
      timeMs: before - startedAt,
      values,
    });
    if (isEpoch) run.metrics({ kind: 'epoch', step, epoch: step / 100, timeMs: before - startedAt, values });
    const took = performance.now() - before;
    total += took;
    longest = Math.max(longest, took);
  }
  const elapsed = performance.now() - startedAt;
  const before = performance.now();
  run.finish({});
  return { total, longest, elapsed, end: performance.now() - before };
}

const store = (run) => run.observe(new StoreFeed(run.path, { onProblem: tell }));
const both = (run) => {
  store(run);
  run.observe(new EventFileObserver({ folder: join(run.path, 'tensorboard'), recipe: '', onProblem: tell }));
};

for (const [title, observe] of [
  ['folder alone', () => undefined],
  ['with the store', store],
  ['with the store and event files', both],
]) {
  const root = mkdtempSync(join(tmpdir(), 'cohort-bench-'));
  const [first, second] = await Promise.all([train(root, observe), train(root, observe)]);
  const share = ((first.total + second.total) / (first.elapsed + second.elapsed)) * 100;
  const perStep = ((first.total + second.total) / (2 * steps)) * 1000;
  console.log(
    `${title.padEnd(31)} ${share.toFixed(2)}% of the time, ${perStep.toFixed(0)} us a step, ` +
      `longest ${Math.max(first.longest, second.longest).toFixed(1)} ms, end of the run ${first.end.toFixed(0)} ms`,
  );
  const begun = performance.now();
  const opened = openStore(root);
  opened.sync();
  const points = opened.runs().map(({ folder }) => opened.series(folder, 'total', { kind: 'step' }).length);
  opened.close();
  console.log(
    `${''.padEnd(31)} then a look at both runs: ${(performance.now() - begun).toFixed(0)} ms, ${points} points`,
  );
  rmSync(root, { recursive: true });
}
