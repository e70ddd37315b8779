/** Ensembles of methods are exported as the methods define them, with the layers that networks share stored once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scope, Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BatchNormaliser } from '../data/index.ts';
import { classProbabilities } from '../evaluate/accuracy.ts';
import { loadRun } from '../inference/loadRun.ts';
import type { RecipeInput } from '../recipes/index.ts';
import { pixels, relativeError, runOnnx } from '../test/exports.ts';
import { RememberingReporter, tinyWorld, type TinyWorld } from '../test/tinyRecipe.ts';
import { trainRun } from '../train/run/run.ts';
import { exportRun } from './exportRun.ts';

let world: TinyWorld;
beforeAll(() => {
  world = tinyWorld();
});
afterAll(() => {
  world.remove();
});

const shape = [4, 1, 28, 28];
const input = pixels(shape);

/** Probabilities of the run's ensemble, as evaluation computes them. */
function ensembleOf(runFolder: string): Float32Array {
  const run = loadRun(runFolder, new RememberingReporter());
  const normaliser = new BatchNormaliser(run.checkpoint.normalisation);
  try {
    return scope(() => {
      const images = normaliser.apply(Tensor.fromTypedArray(input, shape));
      const all = classProbabilities(run.networks, images, run.ensemble);
      return Float32Array.from(all.at(-1)?.toNumbers() ?? []);
    });
  } finally {
    normaliser.dispose();
    run.dispose();
  }
}

test.each<[string, Partial<RecipeInput>]>([
  ['one', { method: { name: 'one' } }],
  ['okddip', { method: { name: 'okddip' }, networks: [{ model: 'resnet8' }, { model: 'resnet8' }, { model: 'resnet8' }] }],
  ['pcl', { method: { name: 'pcl' } }],
  ['ffl', { method: { name: 'ffl' }, networks: [{ model: 'resnet8' }, { model: 'wrn-16-2' }] }],
  ['mean of probabilities', { method: { name: 'cl-ilr' } }],
])('%s', async (architecture, changes) => {
  const { signal } = new AbortController();
  const reporter = new RememberingReporter();
  const recipe = world.recipe({ train: { epochs: 1, batchSize: 16 }, ...changes });
  const { runFolder } = await trainRun(recipe, { signal, reporter, command: 'cohort train' });
  const out = join(world.path, `exported-${architecture}`);
  const { manifest } = await exportRun(runFolder, { signal, reporter, out, network: 'ensemble', precisions: ['float32', 'int8'], maximumLoss: 100, calibrationImages: 20 });
  const [ensemble] = manifest.networks;
  expect(ensemble).toMatchObject({ name: 'ensemble', kind: 'ensemble', architecture, embedding: null });

  const outputs = await runOnnx(readFileSync(join(out, 'onnx/model.onnx')), input, shape);
  const probabilities = scope(() =>
    Float32Array.from(Tensor.fromTypedArray(outputs.get('logits') ?? new Float32Array(40), [4, 10]).softmax(1).toNumbers()),
  );
  expect(relativeError(probabilities, ensembleOf(runFolder))).toBeLessThan(1e-5);
  // Branches of one trunk: two whole networks would have 155,508 parameters.
  if (architecture === 'one') expect(ensemble?.parameters).toBeLessThan(140_000);
}); // prettier-ignore
