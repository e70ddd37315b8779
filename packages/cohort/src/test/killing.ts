/** Kills trainings at random moments, takes them up again, and compares the end with a training that was left alone. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { openRun } from '@cohort-ml/runs';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { writeMnistFiles } from '../data/testing.ts';
import { traceOf } from './runTrace.ts';

/** What is killed, how often, and where. */
export interface KillingOptions {
  /** `main.js` of the compiled command line. */
  readonly program: string;
  /** An empty folder. */
  readonly folder: string;
  /** The method's section of the recipe. */
  readonly method: object;
  readonly networks: number;
  readonly epochs: number;
  readonly kills: number;
  readonly seed: number;
}

/** What came of it. */
export interface KillingResult {
  readonly kills: number;
  /** Kills that fell into the writing of a checkpoint. */
  readonly whileWriting: number;
  /** Runs that were begun because the last had been killed too often, or before its first checkpoint. */
  readonly runs: number;
  /** How the killed runs ended that differ from the one that was left alone; empty where none does. */
  readonly differences: readonly string[];
}

/** A run is killed so often before it may end; then another begins. */
const killsPerRun = 6;

/** Trains in processes of its own, one after the other. */
export async function killAndResume(options: KillingOptions): Promise<KillingResult> {
  const { folder, kills } = options;
  const recipe = writeWorld(options);
  const startedAt = performance.now();
  const whole = join(folder, 'whole');
  train(options, [recipe, `runs=${whole}`]);
  let wholeMs = performance.now() - startedAt;
  const expected = traceOf(onlyRun(whole) ?? '').join('\n');
  const random = xoroshiro128plus(options.seed);
  let [done, whileWriting, runs] = [0, 0, 0];
  const differences: string[] = [];
  while (done < kills) {
    const root = join(folder, `killed-${runs}`);
    runs += 1;
    for (let inThisRun = 0; inThisRun < killsPerRun && done < kills; inThisRun += 1) {
      const run = onlyRun(root);
      const isOver = run !== null && openRun(run).info.status === 'finished';
      if (isOver) break;
      const wait = uniformFloat64(random) * wholeMs;
      const words = hasCheckpoint(run)
        ? ['--resume', run ?? '']
        : [recipe, `runs=${join(root, `${inThisRun}`)}`];
      const begunAt = performance.now();
      if (await trainAndKill(options, words, wait)) done += 1;
      // It came to its end: the machine is less busy than it was, and the next kill must come earlier.
      else wholeMs = Math.min(wholeMs, performance.now() - begunAt);
      if (isWriting(onlyRun(root))) whileWriting += 1;
    }
    const run = onlyRun(root);
    if (run === null || !hasCheckpoint(run)) continue;
    train(options, ['--resume', run]);
    const trace = traceOf(run).join('\n');
    if (trace !== expected) differences.push(`${run}: ${firstDifference(expected, trace)}`);
  }
  return { kills: done, whileWriting, runs, differences };
}

/** A recipe whose steps and checkpoints come thick and fast. */
function writeWorld({ folder, method, networks, epochs }: KillingOptions): string {
  const data = join(folder, 'data');
  mkdirSync(data);
  writeMnistFiles(data, { trainCount: 64, testCount: 20, compressed: false });
  const recipe = {
    name: 'killed',
    data: { dataset: 'fashion-mnist', path: data },
    networks: Array.from({ length: networks }, () => ({ model: 'resnet8' })),
    method,
    train: { epochs, batchSize: 16, checkpointEverySeconds: 0.02, evaluateEveryEpochs: 4 },
    engine: { threads: 1 },
  };
  const path = join(folder, 'killed.yaml');
  writeFileSync(path, JSON.stringify(recipe));
  return path;
}

function argumentsOf({ program }: KillingOptions, words: readonly string[]): string[] {
  const script = `import(process.argv[1]).then(async ({ main }) => { process.exitCode = await main(process.argv.slice(2)); });`;
  return ['--eval', script, program, 'train', ...words, '--quiet'];
}

const environment = { ...process.env, OMP_NUM_THREADS: '1' };

function train(options: KillingOptions, words: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, argumentsOf(options, words), { env: environment });
  if (status !== 0) throw new Error(`cohort train ${words.join(' ')}: ${stderr.toString()}`);
}

/** Whether it was killed, and had not ended by itself before. */
async function trainAndKill(
  options: KillingOptions,
  words: readonly string[],
  waitMs: number,
): Promise<boolean> {
  const child = spawn(process.execPath, argumentsOf(options, words), { env: environment, stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('exit', (_, signal) => {
      resolve(signal);
    });
  });
  await Promise.race([ended, setTimeout(waitMs)]);
  child.kill('SIGKILL');
  return (await ended) === 'SIGKILL';
}

/** The newest run below a folder that has a checkpoint, or else any; null where there is none. */
function onlyRun(root: string): string | null {
  if (!existsSync(root)) return null;
  const runs = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('run.json'))
    .map((path) => join(root, path, '..'));
  return runs.find(hasCheckpoint) ?? runs[0] ?? null;
}

function hasCheckpoint(run: string | null): boolean {
  return run !== null && openRun(run).checkpoints().length > 0;
}

function isWriting(run: string | null): boolean {
  return run !== null && readdirSync(join(run, 'checkpoints')).some((name) => name.includes('.partial-'));
}

function firstDifference(expected: string, received: string): string {
  const lines = received.split('\n');
  const index = expected.split('\n').findIndex((line, position) => line !== lines[position]);
  return `line ${index + 1}: ${lines[index] ?? 'absent'} instead of ${expected.split('\n')[index] ?? 'absent'}`;
}
