/** A detection from recipe to boxes: training, exact resume, evaluation and prediction, images without objects included. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { describe, expect, it, vi } from 'vitest';
import { SilentReporter } from '../../progress/reporter.ts';
import { evaluateTaskRun } from '../training/evaluateTaskRun.ts';
import { predictTaskRun } from '../training/predictTaskRun.ts';
import { resumeTask, useTaskWorld, traceOf, trainTask } from '../training/testing.ts';

// Whole trainings or networks: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const options = { reporter: new SilentReporter(), signal: new AbortController().signal };
const world = useTaskWorld({ name: 'detection', width: 16, headLayers: 1, scale: [0.8, 1.2] });

describe('a detection', () => {
  it('resumes bit for bit and is evaluated as it was trained', async () => {
    const { result: whole, reporter } = await trainTask(world.recipe());
    const { result: stopped } = await trainTask(world.recipe(), 4);
    expect(stopped.status).toBe('interrupted');
    expect(traceOf(await resumeTask(stopped.runFolder))).toEqual(traceOf(whole));
    const terms = Object.keys(reporter.epochs.at(-1)?.terms ?? {});
    expect(terms).toEqual(
      expect.arrayContaining(['classes', 'boxes', 'centerness', 'vcl', 'softIcl', 'total']),
    );
    const evaluation = await evaluateTaskRun(whole.runFolder, options);
    expect(evaluation).toMatchObject({ images: 4, classes: ['bright', 'middling'], scoreName: 'AP' });
    const summary = openRun(whole.runFolder).summary as { ensemble: { test: unknown } };
    expect(summary.ensemble.test).toEqual(evaluation.ensemble);
  });

  it.each(['fcos', 'retinanet', 'faster-rcnn'] as const)('learns to find squares: %s', async (head) => {
    const recipe = world.recipe({
      networks: [{ model: 'resnet8' }],
      method: { name: 'independent' },
      task: {
        name: 'detection',
        head,
        width: 16,
        headLayers: 1,
        flip: true,
        jitter: 0,
        scoreThreshold: 0.01,
      },
      train: {
        epochs: 40,
        batchSize: 4,
        evaluateEveryEpochs: 40,
        optimizer: { name: 'adamw', learningRate: 0.003 },
      },
    });
    const { result, reporter } = await trainTask(recipe);
    const losses = reporter.epochs.map(({ terms }) => terms.total ?? NaN);
    expect(losses.at(-1)).toBeLessThan(0.6 * (losses[0] ?? 0));
    const { ensemble } = await evaluateTaskRun(result.runFolder, { ...options, split: 'train' });
    expect(ensemble.AP50).toBeGreaterThan(0.3);

    const out = join(world.path, head);
    const image = join(world.data, 'JPEGImages/image0.png');
    const found = [];
    for await (const each of predictTaskRun(result.runFolder, [image], { ...options, out, least: 0.1 }))
      found.push(each);
    const [first] = found;
    if (first === undefined || !('objects' in first)) throw new Error('expected objects');
    for (const { score, box, label } of first.objects) {
      expect(score).toBeGreaterThanOrEqual(0.1);
      expect(['bright', 'middling']).toContain(label);
      expect(box.every((side) => side >= 0 && side <= 32)).toBe(true);
    }
    expect(statSync(join(out, 'image0-boxes.jpg')).size).toBeGreaterThan(100);
  });
});
