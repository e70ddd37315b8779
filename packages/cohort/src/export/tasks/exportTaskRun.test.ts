/** Export of whole runs of segmenters and detectors: the folder, its parity, and what is refused. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDetector, createSegmenter, type OnnxRuntime } from '@cohort-ml/runtime';
import { setThreads, Tensor } from '@cohort-ml/torch';
import * as onnxruntime from 'onnxruntime-node';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RememberingReporter } from '../../test/tinyRecipe.ts';
import { relativeError, runOnnx } from '../../test/exports.ts';
import { predictTaskRun } from '../../transfer/training/predictTaskRun.ts';
import { readLabelMap } from '../../transfer/annotations/labelMap.ts';
import { decodeMask } from '../../transfer/masks/runLengths.ts';
import { BatchNormaliser } from '../../data/index.ts';
import { fittedSize } from '../../transfer/training/fittedImages.ts';
import { identityTransform, transformImage } from '../../transfer/training/transforms.ts';
import { decodeQueued } from '../../data/loading/decodeImage.ts';
import { loadTaskRun } from '../../transfer/training/loadTaskRun.ts';
import { taskWorld, trainTask, type TaskWorld } from '../../transfer/training/testing.ts';
import type { RecipeInput } from '../../recipes/index.ts';
import type { ExportOptions } from '../options.ts';
import { exportTaskRun } from './exportTaskRun.ts';
import type { TaskExportManifest } from './taskManifest.ts';

// Whole trainings: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const reporter = new RememberingReporter();
const { signal } = new AbortController();
const worlds: TaskWorld[] = [];
beforeAll(() => {
  setThreads(1);
});
afterAll(() => {
  for (const world of worlds) world.remove();
});

async function trained(task: NonNullable<RecipeInput['task']>): Promise<{
  world: TaskWorld;
  run: string;
  exportTo: (name: string, more?: Partial<ExportOptions>) => ReturnType<typeof exportTaskRun>;
}> {
  const world = taskWorld(task);
  worlds.push(world);
  const train = { epochs: 1, batchSize: 4 };
  const { result } = await trainTask(world.recipe({ method: { name: 'independent' }, train }));
  return {
    world,
    run: result.runFolder,
    exportTo: (name, more = {}) =>
      exportTaskRun(result.runFolder, { reporter, signal, out: join(world.path, name), ...more }),
  };
}

/** Of a picture with other sides than the task's, our runtime finds what a network of the run finds: boxes, and masks if there are any. */
async function expectSameObjects(
  world: TaskWorld,
  run: string,
  folder: string,
  network: number,
  backends: readonly (OnnxRuntime | undefined)[] = [undefined],
): Promise<void> {
  const image = join(world.path, 'wide.png');
  const own = ['JPEGImages', 'images'].map((name) => join(world.data, name, 'image12.png')).find(existsSync);
  await sharp(own).resize(75, 41, { fit: 'fill' }).toFile(image);
  const loaded = loadTaskRun(run, { reporter });
  const normaliser = new BatchNormaliser(loaded.checkpoint.normalisation);
  const original = { height: 41, width: 75 };
  const fitted = fittedSize(original, loaded.checkpoint);
  const pixels = await decodeQueued(image, { channels: 3, ...fitted, fit: 'fill' });
  const raw = Tensor.fromTypedArray(pixels, [1, 3, fitted.height, fitted.width]);
  const placed = transformImage(normaliser.apply(raw), identityTransform(fitted, loaded.checkpoint));
  const models = loaded.models.slice(network, network + 1);
  const outputs = models.map((model) => model.call(placed));
  const expected = loaded.task.predict(models, outputs, { original, fitted });
  if (!('objects' in expected)) throw new Error('expected objects');
  for (const backend of backends) {
    using detector = await createDetector(folder, backend === undefined ? {} : { backend });
    const found = await detector.detect(image, { least: 0 });
    expect(found).toMatchObject(original);
    expect(found.objects.length).toBe(expected.objects.length);
    expect(found.objects.length).toBeGreaterThan(0);
    const scores = found.objects.map(({ score }) => score);
    expect(scores).toEqual(scores.toSorted((left, right) => right - left));
    for (const { index, label, score, box, mask } of found.objects) {
      expect(label).toBe(loaded.checkpoint.classes[index]);
      // Scores that are equal but for rounding may change places.
      const twin = expected.objects.find(
        (other) =>
          other.category === index &&
          Math.abs(other.score - score) < 5e-6 &&
          other.box.every((side, place) => Math.abs(side - (box[place] ?? NaN)) < 5e-4),
      );
      expect(twin, `${label} ${score} ${box.join(' ')}`).toBeDefined();
      expect(mask === undefined).toBe(twin?.mask === undefined);
      if (mask === undefined || twin?.mask === undefined) continue;
      const whole = new Uint8Array(original.height * original.width);
      for (let row = 0; row < mask.height; row += 1) {
        const pixelsOfRow = mask.data.subarray(row * mask.width, (row + 1) * mask.width);
        whole.set(pixelsOfRow, (mask.top + row) * original.width + mask.left);
      }
      expect(whole).toEqual(Uint8Array.from(decodeMask(twin.mask)));
    }
  }
  normaliser.dispose();
  loaded.dispose();
}

describe('a segmenter', () => {
  it('is exported with its ensemble, in two precisions, and paints what cohort predict paints', async () => {
    const { world, run, exportTo } = await trained({ name: 'segmentation', width: 8 });
    const { folder, manifest } = await exportTo('whole', {
      network: 'all',
      precisions: ['float32', 'float16'],
    });
    expect(manifest).toMatchObject({
      format: 'cohort-task-export',
      task: { name: 'segmentation', head: 'fcn' },
      labels: ['ground', 'bright', 'middling'],
      choice: null,
    });
    expect(
      manifest.networks.map(({ name, outputs }) => [name, outputs.map((output) => output.name)]),
    ).toEqual([
      ['ensemble', ['logits']],
      ['resnet8-1', ['logits_resnet8-1']],
      ['resnet8-2', ['logits_resnet8-2']],
    ]);
    expect(manifest.networks[0]?.outputs[0]?.shape).toEqual([3, 32, 32]);
    const [first] = manifest.models;
    expect(first?.parity).toMatchObject([
      { images: 4, program: expect.stringContaining('onnxruntime') as string },
      { images: 4, program: expect.stringContaining('@cohort-ml/runtime') as string },
    ]);
    for (const { outputs } of first?.parity ?? []) {
      for (const { agreement, relativeError: error } of outputs) {
        expect(agreement).toBeGreaterThan(0.99);
        expect(error).toBeLessThan(1e-5);
      }
    }
    const stored = JSON.parse(readFileSync(join(folder, 'cohort.json'), 'utf8')) as TaskExportManifest;
    expect(stored.models[1]?.path).toBe('onnx/model_fp16.onnx');
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain('`[batch, 3, 32, 32]`');

    const image = join(world.data, 'test/image12.png');
    const out = join(world.path, 'pictures');
    for await (const each of predictTaskRun(run, [image], { reporter, signal, out })) {
      expect(each).not.toHaveProperty('error');
    }
    const { labels } = await readLabelMap(join(out, 'image12-mask.png'));
    const pixels = await decodeQueued(image, { channels: 3, height: 32, width: 32, fit: 'fill' });
    const file = readFileSync(join(folder, 'onnx/model.onnx'));
    const logits = (await runOnnx(file, Float32Array.from(pixels), [1, 3, 32, 32])).get('logits');
    const classes = Tensor.fromTypedArray(logits ?? new Float32Array(), [3, 32 * 32])
      .argmax(0)
      .toNumbers();
    const same = classes.filter((label, place) => label === labels[place]).length;
    expect(same / labels.length).toBeGreaterThan(0.99);
  });

  it('is run by the runtime in the size of the picture, as by cohort predict', async () => {
    const { world, run, exportTo } = await trained({ name: 'segmentation', width: 8 });
    const { folder } = await exportTo('whole', { network: 'all' });
    // Neither the size of the task nor its proportions.
    const image = join(world.path, 'wide.png');
    await sharp(join(world.data, 'test/image12.png')).resize(75, 41, { fit: 'fill' }).toFile(image);
    const out = join(world.path, 'pictures');
    let shares: Readonly<Record<string, number>> = {};
    for await (const each of predictTaskRun(run, [image], { reporter, signal, out })) {
      if ('shares' in each) ({ shares } = each);
    }
    const expected = await readLabelMap(join(out, 'wide-mask.png'));
    using segmenter = await createSegmenter(folder);
    const found = await segmenter.segment(image);
    expect([found.width, found.height]).toEqual([75, 41]);
    const same = found.labels.filter((label, place) => label === expected.labels[place]).length;
    expect(same / expected.labels.length).toBeGreaterThan(0.995);
    for (const { label, share } of found.shares) expect(share).toBeCloseTo(shares[label] ?? 0, 2);
    const alone = await segmenter.segment(image, { network: 'resnet8-2' });
    expect(alone.labels).not.toEqual(found.labels);
  });

  it('is refused what there is for classifiers only, and nothing is written', async () => {
    const { world, exportTo } = await trained({ name: 'segmentation', width: 8 });
    await expect(exportTo('a', { precisions: ['int8'] })).rejects.toThrow('int8 is for classifiers');
    await expect(exportTo('a', { formats: ['torchvision'] })).rejects.toThrow(
      'The format torchvision is for classifiers',
    );
    await expect(exportTo('a', { network: 'resnet8-3' })).rejects.toThrow("Did you mean 'resnet8-");
    expect(existsSync(join(world.path, 'a'))).toBe(false);
  });
});

describe('a detector', () => {
  it('is exported with scores and boxes in pixels, from which the same objects are chosen', async () => {
    const { run, exportTo } = await trained({ name: 'detection', width: 16, headLayers: 1 });
    const { folder, manifest } = await exportTo('whole');
    const [network] = manifest.networks;
    const anchors = manifest.choice?.levelCounts.reduce((sum, count) => sum + count, 0) ?? 0;
    expect(network?.outputs).toMatchObject([
      { name: 'scores', shape: [anchors, 2] },
      { name: 'boxes', shape: [anchors, 4] },
    ]);
    // Of one image, the best box of the graph is the best that the run finds.
    const loaded = loadTaskRun(run, { reporter });
    const values = Float32Array.from({ length: 3 * 32 * 32 }, (_, place) => (place % 1024) % 200);
    const outputs = await runOnnx(readFileSync(join(folder, 'onnx/model.onnx')), values, [1, 3, 32, 32]);
    const { normalisation } = loaded.checkpoint;
    const normalised = values.map((value, place) => {
      const channel = Math.floor(place / 1024);
      return (value / 255 - (normalisation.mean[channel] ?? 0)) / (normalisation.std[channel] ?? 1);
    });
    const model = loaded.models[0];
    const sizes = { original: { height: 32, width: 32 }, fitted: { height: 32, width: 32 } };
    const images = Tensor.fromTypedArray(normalised, [1, 3, 32, 32]);
    const found = loaded.task.predict([...loaded.models.slice(0, 1)], [model?.call(images)], sizes);
    if (!('objects' in found)) throw new Error('expected objects');
    const [best] = found.objects;
    const scores = outputs.get('scores') ?? new Float32Array();
    const place = scores.indexOf(Math.max(...scores));
    if (best === undefined) expect(Math.max(...scores)).toBeLessThanOrEqual(0.05);
    else {
      expect(scores[place]).toBeCloseTo(best.score, 4);
      const row = Math.floor(place / 2);
      const box = (outputs.get('boxes') ?? new Float32Array()).slice(4 * row, 4 * row + 4);
      const cut = box.map((side) => Math.min(Math.max(side, 0), 32));
      expect(relativeError(cut, Float32Array.from(best.box))).toBeLessThan(1e-3);
    }
    loaded.dispose();
  });

  it.each(['fcos', 'retinanet'] as const)(
    'with head %s is run by the runtime, which finds the boxes of cohort predict',
    async (head) => {
      const { world, run, exportTo } = await trained({
        name: 'detection',
        head,
        width: 16,
        headLayers: 1,
        scoreThreshold: 0.002,
      });
      const { folder, manifest } = await exportTo('whole', { network: 'resnet8-1' });
      for (const { program, outputs } of manifest.models[0]?.parity ?? []) {
        for (const { relativeError: error } of outputs) expect(error, program).toBeLessThan(1e-5);
      }
      await expectSameObjects(world, run, folder, 0);
    },
  );

  it.each([
    ['detection', 'faster-rcnn'],
    ['instance-segmentation', 'mask-rcnn'],
  ] as const)('of two stages (%s) gives the objects that the run finds', async (name, head) => {
    const task = { name, head, width: 16, scoreThreshold: 0.2 } as NonNullable<RecipeInput['task']>;
    const { exportTo, world, run } = await trained(task);
    await expect(exportTo('a', { precisions: ['float16'] })).rejects.toThrow('in float32 only');
    await expect(exportTo('a', { network: 'all' })).rejects.toThrow('Name one of resnet8-1, resnet8-2');
    expect(existsSync(join(world.path, 'a'))).toBe(false);
    const { folder, manifest } = await exportTo('whole', { network: 'resnet8-2' });
    const names = ['boxes', 'scores', 'labels', ...(head === 'mask-rcnn' ? ['masks'] : [])];
    expect(manifest.networks).toMatchObject([
      { name: 'resnet8-2', outputs: names.map((output) => ({ name: output })) },
    ]);
    expect(manifest.choice?.levelCounts).toEqual([]);
    expect(manifest.models[0]?.operators).toContain('RoiAlign');
    const { parity = [] } = manifest.models[0] ?? {};
    expect(parity.map(({ program }) => program.replace(/ .*/, ''))).toEqual([
      'onnxruntime-node',
      '@cohort-ml/runtime',
    ]);
    for (const { outputs: measured } of parity) {
      expect(measured.map((each) => each.name)).toEqual(
        head === 'mask-rcnn' ? ['scores', 'masks'] : ['scores'],
      );
      for (const { agreement } of measured) expect(agreement).toBeGreaterThanOrEqual(0.98);
    }
    const file = readFileSync(join(folder, 'onnx/model.onnx'));
    const values = Float32Array.from({ length: 3 * 32 * 32 }, (_, place) => (place % 1024) % 200);
    const outputs = await runOnnx(file, values, [1, 3, 32, 32], { picture_size: [32, 32] });
    expect([...outputs.keys()].sort()).toEqual([...names].sort());
    expect(outputs.get('boxes')?.length).toBe(4 * (outputs.get('scores')?.length ?? NaN));
    const card = readFileSync(join(folder, 'README.md'), 'utf8');
    for (const part of ['`[objects, 4]`', '`picture_size`', 'createDetector']) expect(card).toContain(part);
    expect(card.includes('A `mask` is')).toBe(head === 'mask-rcnn');
    await expectSameObjects(world, run, folder, 1, [undefined, onnxruntime]);
  });

  it('of two stages that finds nothing is exported with a warning that nothing was compared', async () => {
    const { run, world } = await trained({
      name: 'detection',
      head: 'faster-rcnn',
      width: 16,
      scoreThreshold: 0.9999,
    });
    const told = new RememberingReporter();
    await exportTaskRun(run, { reporter: told, signal, out: join(world.path, 'nothing') });
    expect(told.warnings).toContainEqual(
      expect.stringContaining('finds no object in 4 test images, so there was nothing to compare'),
    );
  });
});
