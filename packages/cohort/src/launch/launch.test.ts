/** `cohort launch` as a user has it: ranks that train, are killed, freeze, are stopped and resumed, on one host and on several. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRun, readRanks } from '@cohort-ml/runs';
import { temporaryFolder } from '../data/testing.ts';
import { compileCohort, type ChildCohort } from '../test/childCohort.ts';
import {
  childrenOf,
  freePort,
  isAlive,
  runsIn,
  startProcess,
  writeImages,
  type TestProcess,
} from '../test/launching.ts';
import { traceOf } from '../test/runTrace.ts';

const limitMs = 1_800_000;

let child: ChildCohort;
let expected: string[];
const { path: folder, remove } = temporaryFolder();
const recipe = join(folder, 'small.yaml');

/** The compiled command line with these words. */
function cohort(words: readonly string[], environment: Readonly<Record<string, string>> = {}): TestProcess {
  return startProcess([join(child.program, '../../../bin/cohort.js'), ...words], environment);
}

beforeAll(async () => {
  child = compileCohort();
  writeFileSync(
    recipe,
    JSON.stringify({
      name: 'small',
      data: { dataset: 'fashion-mnist', path: writeImages(folder) },
      networks: [{ model: 'resnet8' }, { model: 'resnet8' }, { model: 'resnet8' }],
      method: { name: 'mcl', weights: { logit: 1 } },
      train: { epochs: 8, batchSize: 16, checkpointEverySeconds: 0.1, evaluateEveryEpochs: 4 },
      engine: { threads: 1 },
    }),
  );
  const whole = join(folder, 'whole');
  const { code, output } = await cohort(['train', recipe, `runs=${whole}`, '--quiet']).ended;
  if (code !== 0) throw new Error(output);
  expected = traceOf(onlyRun(whole));
}, limitMs);

afterAll(() => {
  child.remove();
  remove();
});

const onlyRun = (runs: string): string => runsIn(runs)[0] ?? '';

async function until(condition: () => boolean, process?: TestProcess): Promise<void> {
  const ends: string[] = [];
  void process?.ended.then(({ output }) => ends.push(output));
  while (!condition()) {
    const [output] = ends;
    if (output !== undefined) throw new Error(`the process has ended: ${output}`);
    await setTimeout(50);
  }
}

const hasCheckpoint = (runs: string, more = 0): boolean =>
  existsSync(runs) && runsIn(runs).some((run) => existsSync(join(run, 'checkpoints')) && stepsOf(run) > more);

/** The step of the newest checkpoint; 0 where there is none. */
function stepsOf(run: string): number {
  const steps = readdirSync(join(run, 'checkpoints')).flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? []);
  return Math.max(0, ...steps.map(Number));
}

describe.runIf(process.platform === 'linux')('cohort launch', () => {
  it(
    'trains on ranks with the bits of one process, and records who held what',
    async () => {
      const runs = join(folder, 'launched');
      const words = ['launch', '--nproc', '2', '--placement', '2,0/1', 'train', recipe, `runs=${runs}`];
      const { code, output } = await cohort(words).ended;
      expect(output).toContain('rank 0: resnet8-1, resnet8-3');
      expect(code).toBe(0);
      const run = onlyRun(runs);
      expect(traceOf(run)).toEqual(expected);
      expect(openRun(run).summary?.distributed).toMatchObject({
        ranks: 2,
        placement: [[0, 2], [1]],
        // Two networks' logits and features, and two numbers on which ranks agree.
        bytesPerStepAndPeer: 2 * 16 * (10 + 64) * 4 + 16,
      });
      expect(readFileSync(join(run, 'ranks/rank-1.log'), 'utf8')).toContain('epoch 8/8');
    },
    limitMs,
  );

  it(
    'ends all ranks when one is killed, says which, and resumes on any number of ranks',
    async () => {
      const runs = join(folder, 'killed');
      const launched = cohort(['launch', '--nproc', '3', 'train', recipe, `runs=${runs}`, '--quiet']);
      await until(() => hasCheckpoint(runs), launched);
      const ranks = childrenOf(launched.pid);
      expect(ranks).toHaveLength(3);
      process.kill(ranks[1] ?? 0, 'SIGKILL');
      const { code, output } = await launched.ended;
      expect(code).toBe(1);
      expect(ranks.filter(isAlive)).toEqual([]);
      expect(output).toMatch(/error: rank 1 on \S+ was ended by SIGKILL after step \d+/);
      const run = onlyRun(runs);
      expect(output).toContain(`to resume: cohort launch --nproc 3 train --resume ${run} --quiet`);
      expect(readFileSync(join(run, 'ranks/failures.log'), 'utf8')).toContain('rank 1 on');
      const before = stepsOf(run);
      const again = cohort(['launch', '--nproc', '2', 'train', '--resume', run, '--quiet']);
      await until(() => hasCheckpoint(runs, before), again);
      const [first = 0] = childrenOf(again.pid);
      process.kill(first, 'SIGKILL');
      expect((await again.ended).output).toContain('rank 0 on');
      expect((await cohort(['train', '--resume', run, '--quiet']).ended).code).toBe(0);
      expect(traceOf(run)).toEqual(expected);
    },
    limitMs,
  );

  it(
    'lets ranks share each batch, sends what the plan says, and resumes with the same bits',
    async () => {
      const own = ['train.batchSize=32', 'train.gradientClipping={by: norm, maximum: 0.5, over: all}'];
      const launch = ['launch', '--nproc', '6', '--shards', '2'];
      const planned = await cohort([...launch, '--dry-run', 'train', recipe, ...own, '--json']).ended;
      const plan = JSON.parse(planned.output) as {
        bytesPerStepAndPeer: number;
        bytesPerStepAndShard: number;
      };
      const whole = join(folder, 'shared');
      const { code, output } = await cohort([...launch, 'train', recipe, ...own, `runs=${whole}`]).ended;
      expect(code, output).toBe(0);
      expect(output).toContain('rank 5: resnet8-3 (77,754 parameters), part 2 of 2 of every batch');
      expect(openRun(onlyRun(whole)).summary?.distributed).toMatchObject({
        ranks: 6,
        placement: [[0], [1], [2]],
        shards: 2,
        // And two numbers on which ranks agree.
        bytesPerStepAndPeer: plan.bytesPerStepAndPeer + 16,
        dataParallel: { bytesPerStepAndShard: plan.bytesPerStepAndShard },
      });
      const recorded = readRanks(onlyRun(whole));
      expect(recorded).toMatchObject({ epoch: 8, step: 16, shards: 2 });
      expect(recorded?.ranks.map(({ networks, shard }) => [networks, shard])).toEqual(
        ['resnet8-1', 'resnet8-2', 'resnet8-3'].flatMap((name) => [
          [[name], 0],
          [[name], 1],
        ]),
      );
      const runs = join(folder, 'shared-killed');
      const launched = cohort([...launch, 'train', recipe, ...own, `runs=${runs}`, '--quiet']);
      await until(() => hasCheckpoint(runs), launched);
      const ranks = childrenOf(launched.pid);
      process.kill(ranks[3] ?? 0, 'SIGKILL');
      const end = await launched.ended;
      expect(end.output).toMatch(/error: rank 3 on \S+ was ended by SIGKILL after step \d+/);
      expect(ranks.filter(isAlive)).toEqual([]);
      // Two networks on some ranks and one on others, where there was one on each.
      const fewer = [
        'launch',
        '--nproc',
        '4',
        '--shards',
        '2',
        'train',
        '--resume',
        onlyRun(runs),
        '--quiet',
      ];
      const again = await cohort(fewer).ended;
      expect(again.code, again.output).toBe(0);
      expect(traceOf(onlyRun(runs))).toEqual(traceOf(onlyRun(whole)));
    },
    limitMs,
  );

  it(
    'warns that the last digits change when a run that shared batches resumes without',
    async () => {
      const runs = join(folder, 'shared-before');
      const words = ['launch', '--nproc', '2', '--shards', '2', 'train', recipe, `runs=${runs}`, '--quiet'];
      const launched = cohort(words);
      await until(() => hasCheckpoint(runs), launched);
      launched.kill('SIGTERM');
      expect((await launched.ended).code).toBe(143);
      const again = await cohort(['train', '--resume', onlyRun(runs)]).ended;
      expect(again.output).toContain('each batch was computed on 2 ranks and is now on one rank');
      expect(again.code).toBe(0);
      const totals = (run: string): number[] =>
        Array.from(openRun(run).metrics({ kind: 'step' }), ({ values }) => Number(values.total));
      const [first = 0, second = 1] = [runs, join(folder, 'whole')].map((each) => totals(onlyRun(each))[0]);
      expect(Math.abs(first - second)).toBeLessThan(5e-6 * second);
    },
    limitMs,
  );

  it(
    'restarts by itself as often as it may',
    async () => {
      const runs = join(folder, 'restarted');
      const words = [
        'launch',
        '--nproc',
        '2',
        '--max-restarts',
        '1',
        'train',
        recipe,
        `runs=${runs}`,
        '--quiet',
      ];
      const launched = cohort(words);
      await until(() => hasCheckpoint(runs), launched);
      process.kill(childrenOf(launched.pid)[1] ?? 0, 'SIGKILL');
      const { code, output } = await launched.ended;
      expect(output).toContain('restarting (1 of at most 1)');
      expect(code).toBe(0);
      expect(traceOf(onlyRun(runs))).toEqual(expected);
    },
    limitMs,
  );

  it(
    'takes a frozen rank for lost',
    async () => {
      const runs = join(folder, 'frozen');
      // Long enough for a machine that is ten times slower.
      const words = ['launch', '--nproc', '2', '--silence', '8', 'train', recipe, `runs=${runs}`, '--quiet'];
      const launched = cohort(words);
      await until(() => hasCheckpoint(runs), launched);
      const ranks = childrenOf(launched.pid);
      process.kill(ranks[1] ?? 0, 'SIGSTOP');
      const { code, output } = await launched.ended;
      expect(code).toBe(1);
      expect(output).toMatch(/rank 1 on \S+ sent no heartbeat for \d+ seconds/);
      expect(ranks.filter(isAlive)).toEqual([]);
    },
    limitMs,
  );

  it(
    'stops all ranks together when it is asked to, and leaves none behind when it is killed',
    async () => {
      const runs = join(folder, 'stopped');
      const launched = cohort(['launch', '--nproc', '2', 'train', recipe, `runs=${runs}`, '--quiet']);
      await until(() => hasCheckpoint(runs), launched);
      launched.kill('SIGTERM');
      const { code, output } = await launched.ended;
      expect(code).toBe(143);
      expect(output).toContain('to resume:');
      const run = onlyRun(runs);
      expect(openRun(run).info.status).toBe('interrupted');
      const before = stepsOf(run);
      const again = cohort(['launch', '--nproc', '2', 'train', '--resume', run, '--quiet']);
      await until(() => hasCheckpoint(runs, before), again);
      const ranks = childrenOf(again.pid);
      again.kill('SIGKILL');
      await until(() => !ranks.some(isAlive));
      expect((await cohort(['train', '--resume', run, '--quiet']).ended).code).toBe(0);
      expect(traceOf(run)).toEqual(expected);
    },
    limitMs,
  );

  it(
    'joins launchers on several hosts that know the token, and turns strangers away',
    async () => {
      const runs = join(folder, 'hosts');
      const port = await freePort();
      const words = (host: number): string[] => [
        ...[
          'launch',
          '--nnodes',
          '2',
          '--node-rank',
          String(host),
          '--nproc',
          '1',
          '--master',
          `127.0.0.1:${port}`,
        ],
        ...['train', recipe, `runs=${runs}`, '--quiet'],
      ];
      const refused = await cohort(words(0)).ended;
      expect(refused.code).toBe(1);
      expect(refused.output).toContain('COHORT_LAUNCH_TOKEN is not set');
      const token = { COHORT_LAUNCH_TOKEN: 'a token that only the two know' };
      const first = cohort(words(0), token);
      await until(() => canConnect.has(port) || tryToConnect(port), first);
      const stranger = await cohort(words(1), { COHORT_LAUNCH_TOKEN: 'a token that a stranger made up' })
        .ended;
      expect(stranger.code).toBe(1);
      expect(stranger.output).toContain('rejected this host: it does not know the token');
      const second = cohort(words(1), token);
      const [one, two] = await Promise.all([first.ended, second.ended]);
      expect(one.output).toMatch(/a connection from \S+ was turned away: it does not know the token/);
      expect([one.code, two.code]).toEqual([0, 0]);
      expect(traceOf(onlyRun(runs))).toEqual(expected);
    },
    limitMs,
  );

  it.each([
    [
      'another recipe',
      [{ seed: 1 }, { seed: 2 }],
      /The ranks do not belong together:\n {2}rank 1 \(\S+\): has seed = 2 where rank 0 has 1\n/,
    ],
    [
      'another number of shards',
      [
        { seed: 1, shards: 2 },
        { seed: 1, shards: 1 },
      ],
      /rank 1 \(\S+\) was started with --shards 1, and rank 0 with --shards 2\. Start all ranks with the same/,
    ],
  ] as const)(
    'refuses ranks with %s, by name',
    async (_, given, text) => {
      const port = await freePort();
      const ranks = given.map(({ seed, ...others }, rank) =>
        cohort(['train', recipe, `seed=${seed}`, `runs=${join(folder, 'refused')}`, '--quiet'], {
          COHORT_LAUNCHED: '1',
          COHORT_SHARDS: String('shards' in others ? others.shards : 1),
          RANK: String(rank),
          WORLD_SIZE: '2',
          MASTER_ADDR: '127.0.0.1',
          MASTER_PORT: String(port),
        }),
      );
      for (const { code, output } of await Promise.all(ranks.map(({ ended }) => ended))) {
        expect(code).toBe(1);
        expect(output).toMatch(text);
      }
      expect(existsSync(join(folder, 'refused'))).toBe(false);
    },
    limitMs,
  );
});

const canConnect = new Set<number>();

/** Whether the control port, the next after the ranks', is open; found out by the next call. */
function tryToConnect(port: number): boolean {
  const socket = connect(port + 1, '127.0.0.1');
  socket.once('error', () => undefined);
  socket.once('connect', () => {
    canConnect.add(port);
    socket.destroy();
  });
  return false;
}
