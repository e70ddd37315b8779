/** A comparison of segmenters and one of detectors: their own scores in every table, with intervals over images. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openRun, queryFolders } from '@cohort-ml/runs';
import { describe, expect, it, vi } from 'vitest';
import { runTable } from '../cli/commands/runs/text.ts';
import { readResampledScores } from '../evaluate/resampledScores.ts';
import { resolveRecipe } from '../recipes/index.ts';
import { applyOverrides, parseOverrides } from '../recipes/overrides.ts';
import { RememberingReporter } from '../test/tinyRecipe.ts';
import { evaluateTaskRun } from '../transfer/training/evaluateTaskRun.ts';
import { useTaskWorld, trainTask, type TaskWorld } from '../transfer/training/testing.ts';
import type { CellRunner } from './execute/runCell.ts';
import { runComparison, type ComparisonOptions } from './execute/runComparison.ts';
import { planComparison, type Plan } from './plan/plan.ts';
import { variantsOf } from './plan/variants.ts';
import { reportTables } from './report/render/tables.ts';
import { reportComparison } from './report/reportComparison.ts';

// Whole trainings: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const reporter = new RememberingReporter();
const trainHere: CellRunner = async ({ recipe }) => {
  await trainTask(recipe);
  return { kind: 'finished' };
};

function optionsFor(world: Pick<TaskWorld, 'path' | 'recipe'>): ComparisonOptions {
  return {
    command: 'cohort compare tiny',
    select: 'last',
    parallel: 1,
    threads: null,
    runCell: trainHere,
    runs: join(world.path, 'runs'),
    signal: new AbortController().signal,
    reporter,
    measureBest: () => Promise.reject(new Error('not asked for')),
  };
}

function planFor(world: Pick<TaskWorld, 'path' | 'recipe'>): Promise<Plan> {
  const own = world.recipe({ train: { epochs: 1, batchSize: 4 } });
  const resolve = (overrides: readonly string[]): ReturnType<typeof resolveRecipe> => {
    const { data, paths } = applyOverrides({ ...own, topology: undefined }, parseOverrides(overrides));
    return resolveRecipe(data, { source: 'the test', overriddenPaths: paths });
  };
  return planComparison({
    resolve,
    variants: variantsOf(['independent', 'dml'], {}, own.method),
    seeds: [1, 2],
    fractions: [1],
    set: [],
    countTrainingImages: () => Promise.resolve(12),
  });
}

describe.each([
  ['segmentation', { name: 'segmentation', width: 8 }, 'meanIoU', 'mean IoU'],
  ['detection', { name: 'detection', width: 16, headLayers: 1, scoreThreshold: 0.001 }, 'AP', 'AP'],
] as const)('a comparison with task %s', (_, task, scoreName, title) => {
  const world = useTaskWorld(task);

  it('reports its score with intervals over seeds and images, and again from its archive', async () => {
    const archive = join(world.path, 'tiny.json');
    const { report, folder, files } = await runComparison(await planFor(world), {
      ...optionsFor(world),
      archive,
    });
    expect(report.scoreName).toBe(scoreName);
    const [, dml] = report.methods;
    const first = queryFolders(folder ?? '', {}).runs.find(({ name }) => name === 'dml-s1');
    const summary = openRun(first?.path ?? '').summary as {
      networks: { test: Record<string, number> }[];
      scoreName: string;
    };
    expect(summary.scoreName).toBe(scoreName);
    const scores = summary.networks.map(({ test }) => test[scoreName] ?? NaN);
    expect(dml?.meanNetwork.accuracy.values[0]).toBeCloseTo((scores[0] ?? 0) / 2 + (scores[1] ?? 0) / 2, 12);
    const difference = dml?.differences?.meanNetwork;
    expect(difference?.overSeeds).not.toBeNull();
    expect(difference?.overImages?.lower).toBeLessThanOrEqual(difference?.overImages?.upper ?? NaN);
    expect(reportTables(report).map((table) => table.title)).toEqual(
      expect.arrayContaining([
        `Test ${title} (percent)`,
        `Difference to independent (points of test ${title})`,
        'Test images: all measures, in percent',
      ]),
    );
    const csv = readFileSync(files.find((file) => file.endsWith('.csv')) ?? '', 'utf8');
    expect(csv).toContain(`dml,meanNetwork,${scoreName},`);
    expect(csv).toContain(`dml,meanNetwork,${scoreName}Difference,`);
    expect(csv).not.toContain('NaN');
    rmSync(folder ?? '', { recursive: true });
    const again = reportComparison(archive, { reporter });
    expect(again.report.methods).toEqual(report.methods);
  });

  it('is refused with --select best-validation', async () => {
    await expect(
      runComparison(await planFor(world), { ...optionsFor(world), select: 'best-validation' }),
    ).rejects.toThrow(`a recipe of classifiers`);
  });

  it('has runs that list their score by its name, and draws that agree with the evaluation', async () => {
    const recipe = world.recipe({ method: { name: 'independent' }, train: { epochs: 1, batchSize: 4 } });
    const { result } = await trainTask(recipe);
    const { runs } = queryFolders(join(world.path, 'runs'), {});
    const entry = runs.find(({ path }) => path === result.runFolder);
    expect(entry).toMatchObject({ scoreName });
    expect(runTable(runs)).toMatch(new RegExp(`\\d%  ? ?${title}`));
    const resampled = readResampledScores(result.runFolder);
    expect(resampled).toMatchObject({ images: 4 });
    const { ensemble } = await evaluateTaskRun(result.runFolder, {
      reporter,
      signal: new AbortController().signal,
    });
    const draws = (resampled?.scores.ensemble ?? []).filter((score) => score !== null);
    const [least, greatest] = [Math.min(...draws), Math.max(...draws)];
    expect(ensemble[scoreName]).toBeGreaterThanOrEqual(least - 1e-5);
    expect(ensemble[scoreName]).toBeLessThanOrEqual(greatest + 1e-5);
  });
});
