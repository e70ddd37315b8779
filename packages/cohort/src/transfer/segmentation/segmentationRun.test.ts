/** A segmentation from recipe to masks: training, exact resume, evaluation, prediction and what is refused. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRun } from '@cohort-ml/runs';
import { describe, expect, it, vi } from 'vitest';
import { SilentReporter } from '../../progress/reporter.ts';
import { resolveRecipe } from '../../recipes/index.ts';
import { readLabelMap } from '../annotations/labelMap.ts';
import { writeMask } from '../annotations/testing.ts';
import { evaluateTaskRun } from '../training/evaluateTaskRun.ts';
import { predictTaskRun } from '../training/predictTaskRun.ts';
import { resumeTask, useTaskWorld, traceOf, trainTask } from '../training/testing.ts';

const task = { name: 'segmentation', width: 8, scale: [0.8, 1.3] } as const;
// Whole trainings or networks: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const options = { reporter: new SilentReporter(), signal: new AbortController().signal };
const world = useTaskWorld({ ...task, scale: [0.8, 1.3] });

describe('a segmentation', () => {
  it('resumes bit for bit, is evaluated as it was trained, and paints masks', async () => {
    const { result: whole, reporter } = await trainTask(world.recipe());
    const { result: stopped } = await trainTask(world.recipe(), 4);
    expect(stopped.status).toBe('interrupted');
    expect(traceOf(await resumeTask(stopped.runFolder))).toEqual(traceOf(whole));
    const terms = reporter.epochs.at(-1)?.terms ?? {};
    expect(Object.keys(terms)).toEqual(
      expect.arrayContaining(['classification', 'vcl', 'icl', 'softVcl', 'softIcl']),
    );
    expect(reporter.epochs[0]?.scoreName).toBe('meanIoU');

    const evaluation = await evaluateTaskRun(whole.runFolder, options);
    expect(evaluation).toMatchObject({ split: 'test', images: 4, classes: ['ground', 'bright', 'middling'] });
    const summary = openRun(whole.runFolder).summary as {
      ensemble: { test: unknown };
      networks: { test: unknown }[];
    };
    expect(summary.ensemble.test).toEqual(evaluation.ensemble);
    expect(summary.networks.map(({ test }) => test)).toEqual(
      evaluation.networks.map(({ measures }) => measures),
    );
    expect(whole.scoreName).toBe('meanIoU');
    expect(whole.ensemble.testAccuracy).toBe(evaluation.ensemble.meanIoU);

    const out = join(world.path, 'pictures');
    const image = join(world.data, 'test/image12.png');
    const found = [];
    for await (const each of predictTaskRun(whole.runFolder, [image, '/nowhere.png'], { ...options, out }))
      found.push(each);
    const [first, second] = found;
    expect(second).toMatchObject({
      path: '/nowhere.png',
      error: expect.stringContaining('missing') as string,
    });
    if (first === undefined || !('shares' in first)) throw new Error('expected shares of classes');
    const mask = await readLabelMap(join(out, 'image12-mask.png'));
    expect([mask.height, mask.width]).toEqual([32, 32]);
    const ground = mask.labels.filter((label) => label === 0).length / mask.labels.length;
    expect(first.shares.ground ?? 0).toBeCloseTo(ground, 3);
    expect(statSync(join(out, 'image12-overlay.jpg')).size).toBeGreaterThan(100);
  });

  it('learns: the loss of the last epoch is below that of the first', async () => {
    const recipe = world.recipe({
      networks: [{ model: 'resnet8' }],
      method: { name: 'independent' },
      train: { epochs: 6, batchSize: 4, optimizer: { learningRate: 0.05 } },
    });
    const { reporter } = await trainTask(recipe);
    const losses = reporter.epochs.map(({ terms }) => terms.total ?? NaN);
    expect(losses.at(-1)).toBeLessThan(0.7 * (losses[0] ?? 0));
  });

  it.each(['deeplabv3', 'pspnet', 'lraspp'] as const)(
    'trains with head %s, dilation and an auxiliary head',
    async (head) => {
      const recipe = world.recipe({
        networks: [{ model: 'resnet8' }],
        method: { name: 'independent' },
        task: {
          name: 'segmentation',
          head,
          width: 8,
          outputStride: head === 'lraspp' ? null : 4,
          auxiliaryWeight: 0.4,
        },
        train: { epochs: 1, batchSize: 4 },
      });
      const { result, reporter } = await trainTask(recipe);
      expect(result.status).toBe('finished');
      expect(reporter.epochs[0]?.terms).toMatchObject({
        pixels: expect.any(Number) as number,
        auxiliary: expect.any(Number) as number,
      });
    },
  );

  it('starts from a run of its own kind, and its backbone from one', async () => {
    const single = {
      networks: [{ model: 'resnet8' as const }],
      method: { name: 'independent' as const },
      train: { epochs: 1, batchSize: 4 },
    };
    const { result } = await trainTask(world.recipe(single));
    const weights = result.runFolder;
    const { reporter } = await trainTask(
      world.recipe({ ...single, networks: [{ model: 'resnet8', weights }] }),
    );
    expect(reporter.messages.join('\n')).toContain('backbone and head');
    const other = world.recipe({
      ...single,
      networks: [{ model: 'resnet8', weights }],
      task: { name: 'segmentation', width: 12 },
    });
    const { reporter: told } = await trainTask(other);
    expect(told.messages.join('\n')).toMatch(/tensors start afresh, first classifier\.0\.weight/);
  });

  it('counts labels without a class, and refuses them with data.strict', async () => {
    const labels = join(world.data, 'train-labels/image0.png');
    const before = readFileSync(labels);
    writeMask(labels, 32, 32, new Uint8Array(32 * 32).fill(9));
    try {
      const single = {
        networks: [{ model: 'resnet8' as const }],
        method: { name: 'independent' as const },
        train: { epochs: 1, batchSize: 4 },
      };
      const { reporter } = await trainTask(world.recipe(single));
      expect(reporter.warnings.join('\n')).toContain('1 mask with labels that no class has: image0.png (9)');
      const strict = world.recipe({ ...single, data: { dataset: 'folder', path: world.data, strict: true } });
      await expect(trainTask(strict)).rejects.toThrow('annotations that cannot be used');
    } finally {
      writeFileSync(labels, before);
    }
  });
});

describe('a recipe with a task', () => {
  it('refuses settings that would change nothing, and takes them as defaults', () => {
    const given = {
      name: 'odd',
      data: { dataset: 'folder' as const, path: world.data },
      networks: [{ model: 'resnet8' as const }, { model: 'resnet8' as const }],
      task: { name: 'segmentation' as const },
      method: { name: 'independent' as const },
      train: { epochs: 1 },
    };
    const resolved = resolveRecipe(given);
    expect(resolveRecipe(resolved)).toEqual(resolved);
    const useless = {
      ...given,
      data: {
        ...given.data,
        augmentation: { horizontalFlip: true },
        sampler: { name: 'class-balanced' as const },
      },
    };
    expect(() => resolveRecipe(useless)).toThrow(
      /data\.augmentation: has no effect with task segmentation: task\.flip, task\.scale and task\.jitter vary the images; leave it out/,
    );
    expect(() => resolveRecipe(useless)).toThrow(/data\.sampler: has no effect/);
  });

  it('is refused with what does not go with it', () => {
    const given = {
      name: 'odd',
      data: { dataset: 'cifar10' },
      networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
      task: { name: 'segmentation', head: 'unet' },
      method: { name: 'l-mcl' },
      train: { epochs: 1 },
    };
    expect(() => resolveRecipe(given)).toThrow(/task\.head: expected one of fcn, deeplabv3, pspnet, lraspp/);
    expect(() => resolveRecipe(given)).toThrow(/method\.name: expected one of independent, mcl, dml/);
    expect(() => resolveRecipe(given)).toThrow(/data\.dataset: expected folder, since task segmentation/);
  });
});
