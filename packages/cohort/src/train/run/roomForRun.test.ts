/** A run that could not be kept is refused before its images are read, and what a checkpoint needs is not overstated. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun, RunError } from '@cohort-ml/runs';
import { liveTensorCount } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecipeInput, ResolvedRecipe } from '../../recipes/index.ts';
import { tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { SilentReporter } from '../../progress/reporter.ts';
import { assertRoomForRun, leastCheckpointBytes } from './roomForRun.ts';
import { trainRun } from './run.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

const options = { command: '', signal: new AbortController().signal, reporter: new SilentReporter() };

/** A recipe whose images are not there: an error that comes before they are read must name something else. */
const withoutImages = (runs: string): ResolvedRecipe =>
  world.recipe({ data: { dataset: 'fashion-mnist', path: join(world.path, 'nowhere') }, runs });

describe('assertRoomForRun', () => {
  it('refuses a runs folder that cannot be made, before the images are looked for', async () => {
    const file = join(world.path, 'file');
    writeFileSync(file, '');
    await expect(trainRun(withoutImages(join(file, 'runs')), options)).rejects.toThrow(RunError);
    await expect(trainRun(withoutImages(join(file, 'runs')), options)).rejects.toThrow(
      /cannot make the folder for runs/,
    );
  });

  it('refuses a disk without room for one checkpoint, with both sizes and what to do', () => {
    const recipe = world.recipe();
    const runs = join(world.path, 'not', 'yet', 'there');
    expect(() => {
      assertRoomForRun(recipe, runs, () => 2 ** 20);
    }).toThrow(
      /needs at least \d+\.\d MiB \(\d+ bytes\) and 1\.0 MiB \(1048576 bytes\) are free on the disk that holds .*\. Free some space there, or set runs to a folder on another disk\./,
    );
    assertRoomForRun(recipe, runs, () => null);
    assertRoomForRun(recipe, runs, () => 2 ** 40);
    expect(existsSync(join(world.path, 'not'))).toBe(false);
    expect(readdirSync(world.path).filter((name) => name.startsWith('.cohort-'))).toEqual([]);
  });
});

describe('leastCheckpointBytes', () => {
  it('survives a number of images that no memory holds, as a typing error makes it', () => {
    const recipe = world.recipe();
    const { trainImages, ...data } = recipe.data;
    expect(trainImages).not.toBe(1e12);
    expect(leastCheckpointBytes({ ...recipe, data: { ...data, trainImages: 1e12 } })).toBe(
      leastCheckpointBytes(recipe),
    );
  });

  it.each<[string, Partial<RecipeInput>]>([
    ['l-mcl', { method: { name: 'l-mcl' } }],
    ['memory banks', { method: { name: 'mcl', memory: { positives: 1, negatives: 8 } } }],
    [
      'averages under AdamW',
      { train: { epochs: 1, batchSize: 32, optimizer: { name: 'adamw' }, weightAverage: {} } },
    ],
  ])('comes close to what a checkpoint of %s takes, and not above', async (_, changes) => {
    const recipe = world.recipe({
      data: { dataset: 'fashion-mnist', path: world.recipe().data.path, trainImages: 64, testImages: 10 },
      train: { epochs: 1, batchSize: 32 },
      ...changes,
    });
    const before = liveTensorCount();
    const least = leastCheckpointBytes(recipe);
    expect(liveTensorCount()).toBeLessThanOrEqual(before);
    const folder = openRun((await trainRun(recipe, options)).runFolder).checkpoint('last');
    const taken = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    expect(least).toBeLessThanOrEqual(taken);
    expect(least).toBeGreaterThan(0.8 * taken);
  });
});
