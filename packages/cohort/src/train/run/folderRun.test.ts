/** From a folder of images to predictions: the whole way, wherever the decoded images are kept. */
import { openRun } from '@cohort-ml/runs';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { placeClasses, placePictures, place } from '../../data/folder/testing.ts';
import { dataErrorOf, temporaryFolder } from '../../data/testing.ts';
import { evaluateRun } from '../../inference/evaluateRun.ts';
import { predictRun } from '../../inference/predictRun.ts';
import { resolveRecipe, type RecipeInput } from '../../recipes/index.ts';
import { RememberingReporter } from '../../test/tinyRecipe.ts';
import { readCheckpointInfo } from '../../checkpoints/checkpoint.ts';
import { loadRecipeData } from '../../cohort/images.ts';
import { trainRun, type TrainResult } from './run.ts';

const world = temporaryFolder();
const photos = join(world.path, 'photos');
const previousCache = process.env.XDG_CACHE_HOME;
beforeAll(async () => {
  process.env.XDG_CACHE_HOME = join(world.path, 'cache');
  // The seed of a picture is its class: what can be learned at all is learned in a moment.
  for (const [name, seed] of [
    ['голубой', 1],
    ['赤', 2],
  ] as const) {
    for (let number = 0; number < 10; number += 1) {
      await placePictures(photos, {
        [`${name}/${number}.jpg`]: { seed, width: 40 + number, height: 40 },
      });
    }
  }
});
afterAll(() => {
  if (previousCache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = previousCache;
  world.remove();
});

async function train(
  data: Partial<RecipeInput['data']>,
): Promise<TrainResult & { reporter: RememberingReporter }> {
  const recipe = resolveRecipe({
    name: 'photos',
    data: { dataset: 'folder', path: photos, imageSize: 16, ...data },
    networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
    method: { name: 'mcl' },
    train: { epochs: 2, batchSize: 8, optimizer: { learningRate: 0.02 } },
    runs: join(world.path, 'runs'),
  });
  const reporter = new RememberingReporter();
  const { signal } = new AbortController();
  return { ...(await trainRun(recipe, { command: 'test', signal, reporter })), reporter };
}

const call = () => ({ signal: new AbortController().signal, reporter: new RememberingReporter(), top: 1 });

describe('a run on a folder of images', () => {
  it('is the same wherever the images are kept, and can be measured and used', async () => {
    const memory = await train({ cache: 'memory' });
    expect(memory.status).toBe('finished');
    const infoOf = (run: TrainResult) => readCheckpointInfo(openRun(run.runFolder).checkpoint('last'));
    const weights = (run: TrainResult) =>
      Object.entries(infoOf(run).sha256).filter(([file]) => /^(network|method)-.*safetensors$/.test(file));
    expect(weights(memory).length).toBeGreaterThanOrEqual(2);
    expect(weights(await train({ cache: 'none' }))).toEqual(weights(memory));
    expect(weights(await train({ cache: 'disk' }))).toEqual(weights(memory));

    const { ensemble } = await evaluateRun(memory.runFolder, call());
    expect(ensemble).toMatchObject({ accuracy: memory.ensemble.testAccuracy, images: 4 });
    const info = infoOf(memory);
    expect(info).toMatchObject({
      classes: ['голубой', '赤'],
      height: 16,
      width: 16,
      channels: 3,
      fit: 'cover',
      resize: { filter: 'lanczos3', version: 1 },
    });
    const [prediction] = await predictRun(memory.runFolder, [join(photos, '赤/3.jpg')], call());
    expect(info.classes).toContain(prediction?.top[0]?.label);
  });

  it('writes what was wrong with the images into the run folder, and refuses it when strict', async () => {
    const broken = place(photos, '赤/empty.jpg');
    const { reporter, runFolder } = await train({ cache: 'memory' });
    expect(reporter.warnings[0]).toContain('1 broken file left out:\n  赤/empty.jpg: a file of 0 bytes');
    expect(readFileSync(join(runFolder, 'log.txt'), 'utf8')).toContain('赤/empty.jpg: a file of 0 bytes');
    expect((await dataErrorOf(() => train({ strict: true }))).message).toContain('赤/empty.jpg');
    rmSync(broken);
  });

  it('warns where validation images are taken although the folder has some', async () => {
    const sorted = join(world.path, 'sorted');
    await placeClasses(join(sorted, 'train'), { a: 5, b: 5 });
    await placeClasses(join(sorted, 'val'), { a: 1, b: 2 }, { seed: 50 });
    const load = async (validationImages: number | null) => {
      const recipe = resolveRecipe({
        name: 'sorted',
        data: { dataset: 'folder', path: sorted, cache: 'memory', validationImages },
        networks: [{ model: 'resnet8' }],
        method: { name: 'independent' },
        train: { epochs: 1 },
      });
      const reporter = new RememberingReporter();
      const { dataset } = await loadRecipeData(recipe, { reporter });
      dataset.dispose?.();
      return { warnings: reporter.warnings, count: dataset.validation?.count };
    };
    expect(await load(null)).toEqual({ warnings: [], count: 3 });
    const { warnings, count } = await load(2);
    expect(count).toBe(2);
    expect(warnings).toEqual([expect.stringContaining('the 3 that the dataset has for it are not used')]);
  });

  it('is not measured on a folder that has other classes by now', async () => {
    const { runFolder } = await train({ cache: 'memory' });
    await placeClasses(photos, { cyan: 2 }, { width: 40, height: 40, seed: 60 });
    const more = await dataErrorOf(() => evaluateRun(runFolder, call()));
    expect(more.message).toContain(
      "expected the 2 classes of the run, got a new one 'cyan'. The images have changed",
    );
    rmSync(join(photos, 'cyan'), { recursive: true });
    expect((await evaluateRun(runFolder, call())).ensemble.images).toBe(4);
  });
});
