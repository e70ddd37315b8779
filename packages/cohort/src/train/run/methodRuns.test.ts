/** Runs of methods that keep other networks than those trained, have an ensemble of their own, or hold images out. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateRun } from '../../inference/evaluateRun.ts';
import type { RecipeInput } from '../../recipes/index.ts';
import { lastWeights, RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { loadRecipeData } from '../../cohort/images.ts';
import { trainRun, type TrainResult } from './run.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

const options = (): { command: string; signal: AbortSignal; reporter: RememberingReporter } => ({
  command: 'a test',
  signal: new AbortController().signal,
  reporter: new RememberingReporter(),
});

const three = [{ model: 'resnet8' }, { model: 'resnet8' }, { model: 'resnet8' }] as RecipeInput['networks'];

function train(method: RecipeInput['method'], networks = three): Promise<TrainResult> {
  return trainRun(world.recipe({ method, networks, train: { epochs: 2, batchSize: 32 } }), options());
}

describe('a run', () => {
  it.each([['one'], ['okddip'], ['pcl'], ['ffl']] as const)(
    'of %s measures the same after it as at its end, its own ensemble included',
    async (name) => {
      const result = await train({ name });
      const evaluation = await evaluateRun(result.runFolder, options());
      expect(evaluation.networks.map(({ accuracy }) => accuracy)).toEqual(
        result.networks.map(({ testAccuracy }) => testAccuracy),
      );
      const summary: unknown = JSON.parse(readFileSync(join(result.runFolder, 'summary.json'), 'utf8'));
      const { accuracy, negativeLogLikelihood: value } = evaluation.ensemble;
      const negativeLogLikelihood = expect.closeTo(value, 5) as number;
      expect(summary).toMatchObject({ ensemble: { test: { accuracy, negativeLogLikelihood } } });
    },
  );

  it('of pcl keeps the averages as the networks, and those that were trained along with them', async () => {
    const result = await train({ name: 'pcl' }, three.slice(0, 2));
    const files = readdirSync(openRun(result.runFolder).checkpoint('last'));
    expect(files).toEqual(
      expect.arrayContaining(['network-resnet8-1.safetensors', 'trained-resnet8-1.safetensors']),
    );
    const average = lastWeights(result, 'network-resnet8-1.safetensors');
    const trained = lastWeights(result, 'trained-resnet8-1.safetensors');
    expect(average).toHaveLength(trained.length);
    expect(average).not.toEqual(trained);
  });

  it('of okddip says which network is the leader', async () => {
    const result = await train({ name: 'okddip' });
    const summary: unknown = JSON.parse(readFileSync(join(result.runFolder, 'summary.json'), 'utf8'));
    expect(summary).toMatchObject({ leader: 'resnet8-3' });
  });
});

describe('kdcl with teacher general', () => {
  it('holds training images out where there are no validation images, and solves for its weights on them', async () => {
    const method = { name: 'kdcl', teacher: 'general', heldOutImages: 20 } as const;
    const data = await loadRecipeData(world.recipe({ method }));
    expect([data.dataset.train.count, data.heldOut?.count, data.dataset.validation]).toEqual([
      44,
      20,
      undefined,
    ]);
    const result = await train(method, three.slice(0, 2));
    const weights = lastWeights(result, 'method-target.safetensors');
    // Two weights that were solved for, and the sums that were cleared after.
    const shares = weights.filter((value) => value !== 0);
    expect(shares.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    expect(shares).not.toEqual([0.5, 0.5]);
  });

  it('says before the first step that too few images would be held out, and what else there is', async () => {
    const runs = join(world.path, 'none');
    const recipe = world.recipe({ method: { name: 'kdcl', teacher: 'general' }, runs });
    await expect(trainRun(recipe, options())).rejects.toThrow(
      /from 10 \(one of every class\) to \d+ .*, got 3 \(0\.05 of 64\)\. Change method\.heldOutImages; where data\.validationImages is set, those are taken instead\.$/,
    );
    expect(existsSync(runs)).toBe(false);
  });

  it('takes the validation images where there are some', async () => {
    const method = { name: 'kdcl', teacher: 'general' } as const;
    const { data } = world.recipe();
    const split = await loadRecipeData(world.recipe({ method, data: { ...data, validationImages: 20 } }));
    expect([split.dataset.train.count, split.dataset.validation?.count, split.heldOut]).toEqual([
      44,
      20,
      undefined,
    ]);
  });
});
