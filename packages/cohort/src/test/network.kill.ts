/** Two hosts, as network namespaces with addresses of their own, whose link goes down: both sides end, and rank 0's tells why. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRun } from '@cohort-ml/runs';
import { temporaryFolder } from '../data/testing.ts';
import { compileCohort, type ChildCohort } from './childCohort.ts';
import { childrenOf, isAlive, runsIn, startCommand, writeImages, type TestProcess } from './launching.ts';

const names = [`cohort-a-${process.pid}`, `cohort-b-${process.pid}`] as const;
const addresses = ['10.77.0.1', '10.77.0.2'] as const;

function ip(...words: readonly string[]): boolean {
  return spawnSync('ip', words).status === 0;
}

/** Needs root and iproute2; elsewhere the tests are skipped. */
const canMake = ip('netns', 'add', names[0]) && ip('netns', 'add', names[1]);

describe.runIf(canMake)('launchers on two hosts', () => {
  let child: ChildCohort;
  const { path: folder, remove } = temporaryFolder();
  const recipe = join(folder, 'small.yaml');

  beforeAll(() => {
    child = compileCohort();
    ip('link', 'add', 'va', 'netns', names[0], 'type', 'veth', 'peer', 'name', 'vb', 'netns', names[1]);
    for (const [index, name] of names.entries()) {
      const link = index === 0 ? 'va' : 'vb';
      ip('-n', name, 'addr', 'add', `${addresses[index] ?? ''}/24`, 'dev', link);
      for (const each of ['lo', link]) ip('-n', name, 'link', 'set', each, 'up');
    }
    writeFileSync(
      recipe,
      JSON.stringify({
        name: 'small',
        data: { dataset: 'fashion-mnist', path: writeImages(folder) },
        networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
        method: { name: 'dml' },
        train: { epochs: 5000, batchSize: 16, checkpointEverySeconds: 0.2 },
        engine: { threads: 1 },
      }),
    );
  });
  afterAll(() => {
    for (const name of names) ip('netns', 'del', name);
    child.remove();
    remove();
  });

  it('end their ranks when they lose each other', async () => {
    const runs = join(folder, 'runs');
    const program = join(child.program, '../../../bin/cohort.js');
    const start = (host: number): TestProcess =>
      startCommand(
        'ip',
        [
          ...['netns', 'exec', names[host] ?? '', process.execPath, program, 'launch'],
          ...[
            '--nnodes',
            '2',
            '--node-rank',
            String(host),
            '--nproc',
            '1',
            '--master',
            `${addresses[0]}:29500`,
          ],
          ...['train', recipe, `runs=${runs}`, '--quiet'],
        ],
        { COHORT_LAUNCH_TOKEN: 'a token that only the two know' },
      );
    const launchers = [start(0), start(1)];
    const hasCheckpoint = (): boolean =>
      existsSync(runs) && runsIn(runs).some((run) => openRun(run).checkpoints().length > 0);
    while (!hasCheckpoint()) await setTimeout(100);
    const ranks = launchers.flatMap(({ pid }) => childrenOf(pid));
    expect(ranks).toHaveLength(2);
    ip('-n', names[0], 'link', 'set', 'va', 'down');
    const [first, second] = await Promise.all(launchers.map(({ ended }) => ended));
    expect([first?.code, second?.code]).toEqual([1, 1]);
    expect(first?.output).toMatch(
      /error: the host \S+ sent no heartbeat for \d+ seconds, after step \d+: it is frozen/,
    );
    expect(second?.output).toContain('The connection to the launcher of rank 0 was lost');
    expect(ranks.filter(isAlive)).toEqual([]);
  }, 0);
});
