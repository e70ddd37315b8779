/** One seed and one number of threads give one result, bit for bit: what a run promises on the CPU, with no setting. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { setThreads, threads } from '@cohort-ml/torch';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../../test/tinyRecipe.ts';
import { trainRun } from './run.ts';

let world: TinyWorld;
const before = threads();

beforeAll(() => {
  world = tinyWorld();
});

afterAll(() => {
  setThreads(before);
  world.remove();
});

/** Of every weight of the last checkpoint. */
async function digestOfRun(
  name: 'mcl' | 'l-mcl',
  precision: 'float32' | 'bfloat16',
  seed: number,
): Promise<string> {
  const { data } = world.recipe();
  const recipe = world.recipe({
    seed,
    data: { ...data, trainImages: 20, testImages: 10 },
    // A meta step's parts are those of any other step, and it takes long.
    method: name === 'mcl' ? { name } : { name, meta: null },
    // Two steps; both networks are differentiated at the same time, whatever the cores here.
    train: { epochs: 1, batchSize: 10, precision, networksAtOnce: 2 },
    engine: { threads: 2 },
  });
  const { runFolder } = await trainRun(recipe, {
    command: '',
    signal: new AbortController().signal,
    reporter: new RememberingReporter(),
  });
  const folder = openRun(runFolder).checkpoint('last');
  const hash = createHash('sha256');
  for (const file of readdirSync(folder)
    .filter((file) => file.endsWith('.safetensors'))
    .sort()) {
    hash.update(readFileSync(join(folder, file)));
  }
  return hash.digest('hex');
}

it.each([
  ['mcl', 'float32'],
  ['mcl', 'bfloat16'],
  ['l-mcl', 'float32'],
  ['l-mcl', 'bfloat16'],
] as const)('%s in %s is repeated by its seed to the last bit, on two threads', async (name, precision) => {
  const first = await digestOfRun(name, precision, 1);
  expect(await digestOfRun(name, precision, 1)).toBe(first);
});

it('another seed is another run', async () => {
  expect(await digestOfRun('mcl', 'float32', 2)).not.toBe(await digestOfRun('mcl', 'float32', 1));
});
