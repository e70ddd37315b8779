/** The best epoch of a segmenter by its own score on validation images: its checkpoint is kept, and can be measured and named. */
import { openRun } from '@cohort-ml/runs';
import { expect, it, vi } from 'vitest';
import { accuracyOf, chooseCheckpoint } from '../../checkpoints/checkpointChoice.ts';
import { RememberingReporter } from '../../test/tinyRecipe.ts';
import { evaluateTaskRun } from './evaluateTaskRun.ts';
import { trainTask, useTaskWorld } from './testing.ts';

// A whole training: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const world = useTaskWorld({ name: 'segmentation', width: 8 });

it('keeps the best checkpoint next to the last one, and evaluates it when asked to', async () => {
  // The learning rate is so high at first that epochs differ widely.
  const { result, reporter } = await trainTask(
    world.recipe({
      data: { dataset: 'folder', path: world.data, validationImages: 3 },
      networks: [{ model: 'resnet8' }],
      method: { name: 'independent' },
      train: {
        epochs: 6,
        batchSize: 4,
        checkpointEveryEpochs: 1,
        keepLastCheckpoints: 1,
        keepBestCheckpoints: 1,
        optimizer: { learningRate: 0.1 },
      },
    }),
  );
  const run = openRun(result.runFolder);
  const best = chooseCheckpoint(run, reporter, 'best');
  const scores = run
    .checkpoints()
    .map((name) => accuracyOf(chooseCheckpoint(run, reporter, name).info) ?? -1);
  expect(accuracyOf(best.info)).toBe(Math.max(...scores));
  const options = { reporter: new RememberingReporter(), signal: new AbortController().signal };
  const measured = await evaluateTaskRun(result.runFolder, {
    ...options,
    split: 'validation',
    checkpoint: 'best',
  });
  expect(measured.scoreName).toBe('meanIoU');
  expect(measured.networks[0]?.measures.meanIoU).toBeCloseTo(accuracyOf(best.info) ?? NaN, 5);
  const last = await evaluateTaskRun(result.runFolder, { ...options, split: 'validation' });
  expect(last.networks[0]?.measures.meanIoU).toBeLessThanOrEqual(
    (measured.networks[0]?.measures.meanIoU ?? 0) + 1e-6,
  );
});
