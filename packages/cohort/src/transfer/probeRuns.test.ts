/** Probing of real, tiny runs: rows, cache, archive, and what is refused. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { liveTensorCount } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { trainRun } from '../train/run/run.ts';
import { probeRuns, reportProbes, type ProbeRequest, type ProbeResult } from './probeRuns.ts';

let world: TinyWorld;
let mcl = '';
let independent = '';
let again = '';
beforeAll(async () => {
  world = tinyWorld();
  const train = async (method: string, seed: number): Promise<string> => {
    const recipe = world.recipe({
      ...{ seed, method: { name: method } as never },
      train: { epochs: 1, batchSize: 16 },
    });
    const signal = new AbortController().signal;
    const result = await trainRun(recipe, { command: 'test', signal, reporter: new RememberingReporter() });
    return result.runFolder;
  };
  mcl = await train('mcl', 1);
  independent = await train('independent', 1);
  again = await train('independent', 2);
});
afterAll(() => {
  world.remove();
});

function probe(request: Partial<ProbeRequest>, reporter = new RememberingReporter()): Promise<ProbeResult> {
  return probeRuns(
    {
      runs: [mcl],
      data: { source: 'fashion-mnist', path: join(world.path, 'data'), validationImages: 20 },
      cache: join(world.path, 'cache'),
      ...request,
      settings: { neighbours: [1, 3], penalties: [0.01, 1], shots: [1], seeds: 2, ...request.settings },
    },
    { reporter, signal: new AbortController().signal },
  );
}

describe('probeRuns', () => {
  it('measures every network, their mean and all together, and always random weights', async () => {
    const before = liveTensorCount();
    const { report } = await probe({ runs: [mcl, independent], settings: { by: ['linear', 'few-shot'] } });
    expect(liveTensorCount()).toBe(before);
    const linear = report.rows.filter((row) => row.probe === 'linear');
    expect(linear.map(({ features, label }) => `${features}: ${label}`)).toEqual(
      ['mean network', 'concatenation', 'resnet8-1', 'resnet8-2'].flatMap((features) =>
        ['mcl', 'independent', 'random weights'].map((label) => `${features}: ${label}`),
      ),
    );
    expect(report.baseline).toBe('independent');
    const of = (features: string): number =>
      linear.find((row) => row.label === 'mcl' && row.features === features)?.accuracy.mean ?? NaN;
    expect(of('mean network')).toBeCloseTo((of('resnet8-1') + of('resnet8-2')) / 2, 10);
    expect(report.rows.filter(({ probe }) => probe === 'few-shot').map(({ draws }) => draws)).not.toContain(
      1,
    );
    expect(report.sweeps.every(({ trials }) => trials.length === 2)).toBe(true);
  });

  it('groups runs that differ in their seed only, each with its own random weights', async () => {
    const { report } = await probe({ runs: [independent, again, mcl], settings: { by: ['neighbours'] } });
    const row = report.rows.find(
      ({ label, features }) => label === 'independent' && features === 'mean network',
    );
    expect(row?.seeds).toEqual([1, 2]);
    const random = report.rows.find(
      ({ label, features }) => label === 'random weights' && features === 'mean network',
    );
    expect(random?.seeds).toEqual([1, 2]);
    expect(random?.difference?.overSeeds).not.toBeNull();
    // Only seed 1 is in both.
    const other = report.rows.find(({ label, features }) => label === 'mcl' && features === 'mean network');
    expect(other?.difference?.overSeeds).toBeNull();
    expect(other?.difference?.overImages).not.toBeNull();
  });

  it('says the same from cached features, and from damaged ones', async () => {
    const cache = join(world.path, 'own-cache');
    const first = await probe({ cache });
    const files = readdirSync(cache);
    // Two networks and three splits, trained and random.
    expect(files).toHaveLength(12);
    const second = await probe({ cache });
    expect(second.report).toEqual(first.report);
    for (const file of files) writeFileSync(join(cache, file), 'damaged');
    const third = await probe({ cache });
    expect(third.report).toEqual(first.report);
  });

  it('takes features of any stage, at any size', async () => {
    const settings = { by: ['neighbours'] as const, neighbours: [3] };
    const all = await probe({ settings: { ...settings, stage: 'all' } });
    const second = await probe({ settings: { ...settings, stage: 2, size: 16 } });
    expect(all.report.settings.stage).toBe('all');
    expect(second.report.subjects.map(({ size }) => size)).toEqual([
      [16, 16],
      [16, 16],
    ]);
    await expect(probe({ settings: { ...settings, stage: 7 } })).rejects.toThrow(
      /has no stage 7: its stages are 1 to 3\. Choose one of these, last or all\./,
    );
  });

  it('keeps everything in an archive, from which the same report is made', async () => {
    const archive = join(world.path, 'probes.json');
    const first = await probe({ archive, out: join(world.path, 'report') });
    expect(first.files.every((file) => existsSync(file))).toBe(true);
    expect(readFileSync(join(world.path, 'report', 'report.md'), 'utf8')).toContain('| random weights |');
    expect(reportProbes(archive).report).toEqual(first.report);
    expect(reportProbes(archive, { baseline: 'mcl' }).report.baseline).toBe('mcl');
    expect(() => reportProbes(archive, { baseline: 'dml' })).toThrow(
      /no row 'dml'.*Choose one of mcl, random/,
    );
    writeFileSync(archive, readFileSync(archive, 'utf8').slice(0, 200));
    expect(() => reportProbes(archive)).toThrow(/is not an archive of probes/);
  });

  it('fine-tunes the random weights of every seed', async () => {
    const settings = { by: ['fine-tune'] as const, epochs: 1, batchSize: 16, learningRates: [0.1], seeds: 1 };
    const archive = join(world.path, 'tuned.json');
    await probe({ runs: [independent, again], settings, archive });
    const text = readFileSync(archive, 'utf8');
    const { measurements } = JSON.parse(text) as {
      measurements: { label: string; seed: number; features: string; right: string }[];
    };
    const right = measurements
      .filter(({ label, features }) => label === 'random weights' && features === 'resnet8-1')
      .map((each) => each.right);
    expect(right).toHaveLength(2);
    expect(right[0]).not.toBe(right[1]);
  });

  it('fine-tunes with the learning rate that was best on validation images', async () => {
    const settings = {
      by: ['fine-tune'] as const,
      epochs: 1,
      batchSize: 16,
      learningRates: [0.1, 0.001],
      seeds: 1,
    };
    const { report } = await probe({ settings });
    const names = report.rows.filter(({ label }) => label === 'mcl').map(({ features }) => features);
    expect(names).toEqual(['mean network', 'ensemble', 'resnet8-1', 'resnet8-2']);
    for (const { trials, chosen } of report.sweeps) {
      const best = Math.max(...trials.map(({ accuracy }) => accuracy));
      expect(trials.find(({ value }) => value === chosen)?.accuracy).toBe(best);
    }
  });
});

describe('what cannot be probed', () => {
  it.each([
    ['no run', { runs: [] }, /no run to probe.*Name one or more/],
    ['an unknown run', { runs: ['nowhere-20260101'], runsFolder: 'nowhere' }, /nowhere-20260101/],
    [
      'unknown images',
      { data: { source: 'cifar1' } },
      /no dataset and no folder 'cifar1'\. Did you mean cifar10\?/,
    ],
    [
      'more shots than images',
      { settings: { by: ['few-shot'] as const, shots: [500] } },
      /too few for 500 shots\. Lower --shots/,
    ],
    ['an unknown baseline', { baseline: 'dml' }, /no row 'dml'/],
  ])('refuses %s', async (_, request, message) => {
    await expect(probe(request)).rejects.toThrow(message);
  });

  it('refuses the same training twice', async () => {
    await expect(probe({ runs: [mcl, mcl] })).rejects.toThrow(
      /same recipe and seed 1.*Leave one of them out/,
    );
  });
});
