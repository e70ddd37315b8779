/** Segmenters and detectors on ranks end bit for bit as in one process, are stopped and resumed on another number, and share no batches. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRun } from '@cohort-ml/runs';
import { temporaryFolder } from '../../data/testing.ts';
import type { RecipeInput } from '../../recipes/index.ts';
import { compileCohort, type ChildCohort } from '../../test/childCohort.ts';
import { runsIn, startProcess, trainInRanks, type TestProcess } from '../../test/launching.ts';
import { traceOf } from '../../test/runTrace.ts';
import { taskWorld } from './testing.ts';

const limitMs = 1_800_000;

let child: ChildCohort;
const { path: folder, remove } = temporaryFolder();
const worlds: ReturnType<typeof taskWorld>[] = [];

beforeAll(() => {
  child = compileCohort();
});
afterAll(() => {
  child.remove();
  remove();
  for (const world of worlds) world.remove();
});

function recipeOf(
  name: string,
  task: NonNullable<RecipeInput['task']>,
  changes: Partial<RecipeInput>,
  validationImages: number | null = null,
): object {
  const world = taskWorld(task);
  worlds.push(world);
  return {
    ...world.recipe(),
    name,
    data: { dataset: 'folder', path: world.data, validationImages },
    engine: { threads: 1 },
    ...changes,
  };
}

const network = { model: 'resnet8' } as const;
const train = { epochs: 1, batchSize: 4 } as const;

/** Named in alphabetical order, in which their runs are found. */
const recipes = [
  // Dropout, gradients clipped over all ranks, and a best epoch that all ranks go back to.
  recipeOf(
    'a-segmentation',
    { name: 'segmentation', width: 8 },
    {
      networks: [network, network, network],
      method: { name: 'mcl', weights: { logit: 1 } },
      train: {
        epochs: 3,
        batchSize: 4,
        gradientClipping: { by: 'norm', maximum: 0.5, over: 'all' },
        earlyStopping: { patience: 1 },
      },
    },
    2,
  ),
  // Anchors and proposals are drawn at random.
  recipeOf(
    'b-faster-rcnn',
    { name: 'detection', head: 'faster-rcnn', width: 16 },
    { method: { name: 'dml' }, train },
  ),
  recipeOf('c-mask-rcnn', { name: 'instance-segmentation', width: 16 }, { method: { name: 'mcl' }, train }),
  recipeOf(
    'd-fcos-bf16',
    { name: 'detection', width: 16 },
    { method: { name: 'mcl' }, train: { ...train, precision: 'bfloat16' } },
  ),
  recipeOf(
    'e-independent',
    { name: 'segmentation', width: 8, auxiliaryWeight: 0.4 },
    { method: { name: 'independent' }, train },
  ),
];

describe('a task on ranks', () => {
  it(
    'has the bits of one process, for every kind',
    async () => {
      const traces = async (ranks: number): Promise<[string, string[]][]> => {
        const runs = runsIn(await trainInRanks(child.program, folder, recipes, ranks));
        return runs.map((run) => [openRun(run).info.name, traceOf(run)]);
      };
      const expected = await traces(1);
      expect(expected).toHaveLength(recipes.length);
      expect(await traces(2)).toEqual(expected);
    },
    limitMs,
  );

  it.runIf(process.platform === 'linux')(
    'says what crosses, stops, resumes in one process, and refuses to share batches',
    async () => {
      const cohort = (words: readonly string[]): TestProcess =>
        startProcess([join(child.program, '../../../bin/cohort.js'), ...words]);
      const recipe = join(folder, 'segmentation.yaml');
      const [, , mask = {}] = recipes;
      writeFileSync(
        recipe,
        JSON.stringify({ ...mask, train: { epochs: 6, batchSize: 4, checkpointEverySeconds: 0.1 } }),
      );
      const refused = await cohort([
        'launch',
        ...['--nproc', '2', '--shards', '2', '--dry-run'],
        ...['train', recipe],
      ]).ended;
      expect(refused.code).toBe(1);
      expect(refused.output).toContain('this recipe has the task instance-segmentation. Leave out --shards');

      const whole = join(folder, 'whole');
      const { code, output } = await cohort(['train', recipe, `runs=${whole}`, '--quiet']).ended;
      expect(code, output).toBe(0);
      const runs = join(folder, 'stopped');
      const launched = cohort(['launch', '--nproc', '2', 'train', recipe, `runs=${runs}`]);
      const ends: unknown[] = [];
      void launched.ended.then((end) => ends.push(end));
      const checkpointsOf = (run: string): string[] => {
        const checkpoints = join(run, 'checkpoints');
        return existsSync(checkpoints) ? readdirSync(checkpoints) : [];
      };
      const hasCheckpoint = (): boolean =>
        existsSync(runs) && runsIn(runs).some((run) => checkpointsOf(run).some((name) => name !== 'last'));
      while (ends.length === 0 && !hasCheckpoint()) await setTimeout(50);
      launched.kill('SIGTERM');
      const stopped = await launched.ended;
      expect(stopped.output).toMatch(/each step, every rank passes [\d,]+ bytes to each of 1 other/);
      expect(stopped.code, stopped.output).toBe(143);
      const [run = ''] = runsIn(runs);
      expect(openRun(run).info.status).toBe('interrupted');
      const resumed = await cohort(['train', '--resume', run, '--quiet']).ended;
      expect(resumed.code, resumed.output).toBe(0);
      expect(traceOf(run)).toEqual(traceOf(runsIn(whole)[0] ?? ''));
    },
    limitMs,
  );
});
