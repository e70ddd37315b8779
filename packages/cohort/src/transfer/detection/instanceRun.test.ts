/** An instance segmentation from recipe to masks: training, exact resume, mask AP, prediction as run lengths and pictures. */
import { statSync, writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { describe, expect, it, vi } from 'vitest';
import { SilentReporter } from '../../progress/reporter.ts';
import { maskBox, parseRunLengths } from '../masks/runLengths.ts';
import { evaluateTaskRun } from '../training/evaluateTaskRun.ts';
import { predictTaskRun } from '../training/predictTaskRun.ts';
import { resumeTask, useTaskWorld, traceOf, trainTask } from '../training/testing.ts';

// Whole trainings: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const options = { reporter: new SilentReporter(), signal: new AbortController().signal };
const world = useTaskWorld({ name: 'instance-segmentation', width: 16, scale: [0.8, 1.2] });

describe('an instance segmentation', () => {
  it('resumes bit for bit, as a cohort, and is evaluated as it was trained', async () => {
    const { result: whole, reporter } = await trainTask(world.recipe());
    const { result: stopped } = await trainTask(world.recipe(), 4);
    expect(stopped.status).toBe('interrupted');
    expect(traceOf(await resumeTask(stopped.runFolder))).toEqual(traceOf(whole));
    const terms = Object.keys(reporter.epochs.at(-1)?.terms ?? {});
    expect(terms).toEqual(
      expect.arrayContaining(['classes', 'boxes', 'masks', 'objectness', 'proposals', 'vcl', 'softIcl']),
    );
    const evaluation = await evaluateTaskRun(whole.runFolder, options);
    expect(evaluation).toMatchObject({ task: 'instance-segmentation', images: 4, scoreName: 'AP' });
    const summary = openRun(whole.runFolder).summary as { ensemble: { test: unknown } };
    expect(summary.ensemble.test).toEqual(evaluation.ensemble);
  });

  it('learns masks that are not boxes', async () => {
    const recipe = world.recipe({
      networks: [{ model: 'resnet8' }],
      method: { name: 'independent' },
      task: { name: 'instance-segmentation', width: 16, jitter: 0, scoreThreshold: 0.01 },
      train: {
        epochs: 60,
        batchSize: 4,
        evaluateEveryEpochs: 60,
        optimizer: { name: 'adamw', learningRate: 0.003 },
      },
    });
    const { result } = await trainTask(recipe);
    const { ensemble } = await evaluateTaskRun(result.runFolder, { ...options, split: 'train' });
    // The mask of a whole box overlaps its plus sign by 5/9 only, so that it counts at 0.5 but not at 0.75.
    expect(ensemble.boxAP50).toBeGreaterThan(0.3);
    expect(ensemble.AP75).toBeGreaterThan(0.1);

    const out = join(world.path, 'pictures');
    const image = join(world.data, 'images/image0.png');
    const found = [];
    for await (const each of predictTaskRun(result.runFolder, [image], { ...options, out, least: 0.2 }))
      found.push(each);
    const [first] = found;
    if (first === undefined || !('objects' in first)) throw new Error('expected objects');
    expect(first.objects.length).toBeGreaterThan(0);
    for (const { mask, box } of first.objects) {
      if (mask === undefined) throw new Error('expected a mask');
      const [x, y, width, height] = maskBox(parseRunLengths(mask.counts, ...mask.size));
      const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = box;
      // A mask stays within its box, up to the place by which it is widened.
      expect(Math.min(x - x0, y - y0, x1 - x - width, y1 - y - height)).toBeGreaterThan(-3);
    }
    expect(statSync(join(out, 'image0-objects.jpg')).size).toBeGreaterThan(100);
  });

  it('counts objects without a mask, and refuses data that has none', async () => {
    const path = join(world.data, 'annotations/instances_train.json');
    const text = readFileSync(path, 'utf8');
    const single = {
      networks: [{ model: 'resnet8' as const }],
      method: { name: 'independent' as const },
      train: { epochs: 1, batchSize: 4 },
    };
    const without = (isOut: (index: number) => boolean): string => {
      const file = JSON.parse(text) as { annotations: Record<string, unknown>[] };
      for (const [index, annotation] of file.annotations.entries()) {
        if (isOut(index)) delete annotation.segmentation;
      }
      return JSON.stringify(file);
    };
    try {
      writeFileSync(
        path,
        without((index) => index === 1),
      );
      const { reporter } = await trainTask(world.recipe(single));
      expect(reporter.warnings.join('\n')).toContain('1 object without a mask: object 1 of image1.png');
      const strict = { dataset: 'folder' as const, path: world.data, strict: true };
      await expect(trainTask(world.recipe({ ...single, data: strict }))).rejects.toThrow('without a mask');
      writeFileSync(
        path,
        without(() => true),
      );
      const test = join(world.data, 'annotations/instances_test.json');
      const before = readFileSync(test, 'utf8');
      writeFileSync(test, before.replaceAll('"segmentation"', '"other"'));
      await expect(trainTask(world.recipe(single))).rejects.toThrow(
        /No object of .* has a mask\. Use task detection/,
      );
      writeFileSync(test, before);
    } finally {
      writeFileSync(path, text);
    }
  });
});
