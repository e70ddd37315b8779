/** Tasks in bfloat16, whose boxes and losses stay in float32, and with early stopping by their own score. */
import { openRun } from '@cohort-ml/runs';
import { describe, expect, it, vi } from 'vitest';
import type { RecipeInput } from '../../recipes/index.ts';
import { useTaskWorld, trainTask } from './testing.ts';

// Whole trainings: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const tasks: readonly NonNullable<RecipeInput['task']>[] = [
  { name: 'segmentation', head: 'fcn', width: 8, auxiliaryWeight: 0.4 },
  { name: 'segmentation', head: 'deeplabv3', width: 8 },
  { name: 'segmentation', head: 'lraspp', width: 8 },
  { name: 'detection', head: 'fcos', width: 16, headLayers: 1 },
  { name: 'detection', head: 'retinanet', width: 16, headLayers: 1 },
  { name: 'detection', head: 'faster-rcnn', width: 16 },
  { name: 'instance-segmentation', head: 'mask-rcnn', width: 16 },
];

describe.each(tasks)('%j', (task) => {
  const world = useTaskWorld(task);

  it('trains in bfloat16, as a cohort, to nearly the losses of float32', async () => {
    const first = async (precision: 'float32' | 'bfloat16'): Promise<Record<string, number>> => {
      const train = { epochs: 1, batchSize: 12, precision, optimizer: { learningRate: 0.001 } };
      const { result, reporter } = await trainTask(world.recipe({ train }));
      expect(result.status).toBe('finished');
      return reporter.epochs[0]?.terms ?? {};
    };
    const [exact, rounded] = [await first('float32'), await first('bfloat16')];
    expect(Object.keys(rounded)).toEqual(Object.keys(exact));
    // Of a single step from the same weights on the same images.
    for (const [name, value] of Object.entries(exact)) {
      expect(Math.abs((rounded[name] ?? NaN) - value), name).toBeLessThan(0.05 + 0.1 * Math.abs(value));
    }
    expect(rounded).not.toEqual(exact);
  });
});

describe('early stopping of a task', () => {
  const world = useTaskWorld({ name: 'segmentation', width: 8 });
  const train = { epochs: 8, batchSize: 4, optimizer: { learningRate: 1e-9 } };

  it('goes by its own score', async () => {
    const recipe = world.recipe({
      data: { dataset: 'folder', path: world.data, validationImages: 4 },
      method: { name: 'independent' },
      train: { ...train, earlyStopping: { patience: 2 } },
    });
    const { result, reporter } = await trainTask(recipe);
    expect(openRun(result.runFolder).summary?.epochs).toBeLessThan(8);
    expect(reporter.messages.join('\n')).toMatch(/training ends after epoch \d: .*\(mean mean IoU \d/);
  });

  it('cannot go by likelihood', () => {
    expect(() =>
      world.recipe({ train: { ...train, earlyStopping: { metric: 'negative-log-likelihood' } } }),
    ).toThrow(/train\.earlyStopping\.metric: expected accuracy for task segmentation/);
  });
});
