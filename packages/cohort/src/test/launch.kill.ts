/**
 * Ranks and launchers that are killed at random moments, and resumed on another number of ranks: the run ends as if nothing had
 * happened, and no process is left behind. COHORT_KILLS says how often (default 30), COHORT_KILL_SHARDS how many ranks share
 * each batch (default 1: none).
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { openRun } from '@cohort-ml/runs';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { temporaryFolder } from '../data/testing.ts';
import { compileCohort } from './childCohort.ts';
import { childrenOf, isAlive, runsIn, startProcess, writeImages, type TestProcess } from './launching.ts';
import { traceOf } from './runTrace.ts';

/** Kills of one run before it may end; then another begins. */
const killsPerRun = 6;

/** Processes that are still there so long after their launcher has ended are orphans. */
const orphanMs = 60_000;

/** Waits until processes have gone. @returns how many have not */
async function orphansOf(processes: readonly number[]): Promise<number> {
  const startedAt = performance.now();
  while (processes.some(isAlive) && performance.now() - startedAt < orphanMs) await setTimeout(50);
  return processes.filter(isAlive).length;
}

it('ends bit for bit the same after random kills, and leaves no process behind', async () => {
  const child = compileCohort();
  const { path: folder, remove } = temporaryFolder();
  const program = join(child.program, '../../../bin/cohort.js');
  const random = xoroshiro128plus(11);
  const draw = (below: number): number => Math.floor(uniformFloat64(random) * below);
  const recipe = join(folder, 'killed.yaml');
  writeFileSync(
    recipe,
    JSON.stringify({
      name: 'killed',
      data: { dataset: 'fashion-mnist', path: writeImages(folder) },
      networks: [{ model: 'resnet8' }, { model: 'resnet8' }, { model: 'resnet8' }],
      method: { name: 'l-mcl', meta: { intervalSteps: 3 } },
      train: { epochs: 4, batchSize: 16, checkpointEverySeconds: 0.1 },
      engine: { threads: 1 },
    }),
  );
  const whole = join(folder, 'whole');
  const shards = Number(process.env.COHORT_KILL_SHARDS ?? 1);
  const trainOn = (sets: number, words: readonly string[]): TestProcess => {
    const ranks = ['launch', '--nproc', String(sets * shards), '--shards', String(shards)];
    return startProcess([program, ...ranks, 'train', ...words, '--quiet']);
  };
  /** Without a launcher, where that gives the same bits. */
  const trainAlone = (words: readonly string[]): TestProcess =>
    shards === 1 ? startProcess([program, 'train', ...words, '--quiet']) : trainOn(1, words);
  const startedAt = performance.now();
  expect((await trainAlone([recipe, `runs=${whole}`]).ended).code).toBe(0);
  const wholeMs = performance.now() - startedAt;
  const expected = traceOf(runsIn(whole)[0] ?? '');
  const wanted = Number(process.env.COHORT_KILLS ?? 30);
  const counts = { kills: 0, ofLaunchers: 0, resumes: 0, runs: 0, orphans: 0 };
  for (let number = 0; counts.kills < wanted; number += 1) {
    const runs = join(folder, `killed-${number}`);
    const runOf = (): string | undefined =>
      existsSync(runs) ? runsIn(runs).find((run) => openRun(run).checkpoints().length > 0) : undefined;
    for (let inThisRun = 0; inThisRun < killsPerRun && counts.kills < wanted; inThisRun += 1) {
      const run = runOf();
      if (run !== undefined && openRun(run).info.status === 'finished') break;
      const words = run === undefined ? [recipe, `runs=${runs}`] : ['--resume', run];
      if (run !== undefined) counts.resumes += 1;
      const sets = 1 + draw(3);
      const launched = trainOn(sets, words);
      const ends: unknown[] = [];
      void launched.ended.then((end) => ends.push(end));
      // Now and then before there are ranks; else on a busy machine few kills would meet any.
      const isEarly = draw(8) === 0;
      const areThere = (): boolean => childrenOf(launched.pid).length === sets * shards;
      while (!isEarly && ends.length === 0 && !areThere()) await setTimeout(20);
      await Promise.race([launched.ended, setTimeout(uniformFloat64(random) * 2 * wholeMs)]);
      const all = [launched.pid, ...childrenOf(launched.pid)];
      const victim = all[draw(all.length)] ?? 0;
      if (isAlive(victim)) {
        process.kill(victim, 'SIGKILL');
        counts.kills += 1;
        if (victim === launched.pid) counts.ofLaunchers += 1;
      }
      await launched.ended;
      counts.orphans += await orphansOf(all);
      expect(counts.orphans).toBe(0);
    }
    const run = runOf();
    if (run === undefined) continue;
    const { code, output } = await trainAlone(['--resume', run]).ended;
    expect(code, output).toBe(0);
    expect(traceOf(run)).toEqual(expected);
    counts.resumes += 1;
    counts.runs += 1;
  }
  process.stdout.write(`random kills: ${JSON.stringify(counts)}\n`);
  child.remove();
  remove();
}, 0);
