/** Detectors and segmenters from their folders: sources, pictures of other sizes, and what is refused. */
import { readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterEach, describe, expect, it } from 'vitest';
import { createClassifier } from '../classifier/classifier.ts';
import { DisposedError, ImageDecodeError, InputError, MissingFileError, ModelFileError } from '../errors.ts';
import { exportedFiles, writeExport } from '../test/exportedFolder.ts';
import { exportedDetector, exportedSegmenter, redAndBlue } from '../test/exportedTask.ts';
import { chooseObjects, createDetector } from './detector.ts';
import { createSegmenter } from './segmenter.ts';
import { readTaskManifest } from './taskManifest.ts';

const folders: string[] = [];

async function folder(task: Parameters<typeof writeExport>[0]): Promise<string> {
  const path = await writeExport(task);
  folders.push(path);
  return path;
}

afterEach(async () => {
  for (const path of folders.splice(0)) await rm(path, { recursive: true });
});

/** Eight by five pixels of the input: the lower quarters hold a row of the picture each, and the filling. */
const picture = redAndBlue(64, 40);

describe('createDetector', () => {
  it('finds boxes in the coordinates of the picture, the best first, from every kind of source', async () => {
    const path = await folder(exportedDetector());
    const { manifest } = exportedDetector();
    const sources = [path, join(path, 'cohort.json'), pathToFileURL(path), exportedDetector()];
    for (const source of sources) {
      using detector = await createDetector(source);
      const { width, height, objects } = await detector.detect(picture);
      expect([width, height]).toEqual([64, 40]);
      expect(objects.map(({ label, index, box }) => [label, index, box])).toEqual([
        ['red', 0, [0, 0, 32, 32]],
        ['blue', 1, [32, 0, 64, 32]],
      ]);
      for (const { score } of objects) expect(score).toBeGreaterThan(0.99);
    }
    using own = await createDetector(readTaskManifest(manifest), { folder: path });
    expect((await own.detect(picture)).objects).toHaveLength(2);
  });

  it('takes the network and the least score that are asked for', async () => {
    using detector = await createDetector(exportedDetector(), { network: 'linear-2' });
    const half = await detector.detect(picture);
    for (const { score } of half.objects) expect(score).toBeCloseTo(0.5, 2);
    expect((await detector.detect(picture, { least: 0.6 })).objects).toEqual([]);
    expect((await detector.detect(picture, { least: 0.6, network: 'linear-1' })).objects).toHaveLength(2);
    await expect(detector.detect(picture, { least: 2 })).rejects.toThrow(InputError);
    await expect(detector.detect(picture, { network: 'linear-3' })).rejects.toThrow(
      'holds linear-1, linear-2',
    );
  });

  it('decodes files, and refuses what is none', async () => {
    using detector = await createDetector(exportedDetector());
    const file = await sharp(picture.data, { raw: { width: 64, height: 40, channels: 3 } })
      .png()
      .toBuffer();
    expect((await detector.detect(file)).objects).toHaveLength(2);
    await expect(detector.detect(new TextEncoder().encode('no picture'))).rejects.toThrow(ImageDecodeError);
  });

  it('refuses a segmenter, a classifier, two stages, damaged files and a folder that is not there', async () => {
    await expect(createDetector(exportedSegmenter())).rejects.toThrow('Load it with `createSegmenter`');
    await expect(createDetector(exportedFiles())).rejects.toThrow('Load it with `createClassifier`');
    await expect(createClassifier(exportedDetector())).rejects.toThrow(
      '`createSegmenter` or `createDetector`',
    );
    const { manifest, files } = exportedDetector();
    const choice = { scoreThreshold: 0.05, overlapThreshold: 0.5, mostDetections: 100, levelCounts: [] };
    const twoStages = { ...manifest, choice, task: { name: 'detection', head: 'faster-rcnn' } };
    await expect(createDetector({ manifest: twoStages, files })).rejects.toThrow(
      'does not say where the second begins',
    );
    const path = await folder(exportedDetector());
    const model = join(path, 'onnx/model.onnx');
    await truncate(model, (await readFile(model)).length - 1);
    await expect(createDetector(path)).rejects.toThrow(ModelFileError);
    await expect(createDetector('/nowhere')).rejects.toThrow(MissingFileError);
  });

  it.each([
    ['version', { version: 2 }, 'version 2 of the format'],
    [
      'fill',
      { input: { name: 'x', height: 8, width: 8, fill: [0, 0], normalisation: 'graph' } },
      'input.fill',
    ],
    ['choice', { choice: null }, 'choice'],
    ['task', { task: { name: 'counting', head: 'fcos' } }, 'task.name'],
    ['networks', { networks: [] }, 'networks'],
    ['models', { models: [{ precision: 'float32', path: '../a', bytes: 1, sha256: '' }] }, 'models.path'],
  ])('refuses a manifest with a senseless %s', async (_, change, message) => {
    const { manifest, files } = exportedDetector();
    const loading = createDetector({ manifest: { ...manifest, ...change }, files });
    await expect(loading).rejects.toThrow(ModelFileError);
    await expect(loading).rejects.toThrow(message);
  });

  it('is of no use after dispose', async () => {
    const detector = await createDetector(exportedDetector());
    await detector.warmUp();
    detector.dispose();
    await expect(detector.detect(picture)).rejects.toThrow(DisposedError);
  });
});

describe('chooseObjects', () => {
  const choice = { scoreThreshold: 0.1, overlapThreshold: 0.5, mostDetections: 10, levelCounts: [2, 2] };
  const boxes = Float32Array.of(0, 0, 10, 10, 1, 0, 11, 10, 0, 0, 10, 10, 20, 20, 60, 30);
  const fitted = { height: 40, width: 50 };

  it('suppresses among boxes of the same class alone, and cuts off at the border', () => {
    // Classes of the four boxes: both a little, 0, 1, 0.
    const scores = Float32Array.of(0.9, 0.05, 0.8, 0.05, 0.05, 0.7, 0.6, 0.05);
    expect(chooseObjects(scores, boxes, 2, fitted, choice).map(({ index, box }) => [index, ...box])).toEqual([
      [0, 0, 0, 10, 10],
      [1, 0, 0, 10, 10],
      [0, 20, 20, 50, 30],
    ]);
  });

  it('keeps what overlaps by exactly the threshold, and no more than are wanted', () => {
    const halves = Float32Array.of(0, 0, 10, 10, 0, 0, 10, 5, 0, 0, 10, 20, 30, 0, 31, 1);
    const scores = Float32Array.of(0.9, 0.8, 0.7, 0.6);
    const all = chooseObjects(scores, halves, 1, fitted, choice);
    expect(all.map(({ score }) => Math.fround(score))).toEqual([...scores]);
    expect(chooseObjects(scores, halves, 1, fitted, { ...choice, mostDetections: 2 })).toEqual(
      all.slice(0, 2),
    );
  });

  it('refuses another number of boxes than the manifest says', () => {
    expect(() => chooseObjects(new Float32Array(6), new Float32Array(12), 2, fitted, choice)).toThrow(
      'gives 3 boxes, and the manifest says 4',
    );
  });
});

describe('createSegmenter', () => {
  it('gives the class of every pixel of the picture, and the part that each class covers', async () => {
    const path = await folder(exportedSegmenter());
    for (const source of [path, exportedSegmenter()]) {
      using segmenter = await createSegmenter(source);
      const { width, height, labels, shares } = await segmenter.segment(picture);
      expect([width, height, labels.length]).toEqual([64, 40, 64 * 40]);
      // The filling below the picture is background, and must not reach into it.
      expect(shares).toEqual([
        { label: 'background', index: 0, share: 0 },
        { label: 'red', index: 1, share: 0.5 },
        { label: 'blue', index: 2, share: 0.5 },
      ]);
      expect([labels[0], labels[31], labels[32], labels[64 * 40 - 1]]).toEqual([1, 1, 2, 2]);
    }
  });

  it('takes another network, and pictures that are smaller than the input', async () => {
    using segmenter = await createSegmenter(exportedSegmenter());
    const { labels } = await segmenter.segment(redAndBlue(4, 2), { network: 'linear-2' });
    expect([...labels]).toEqual([2, 2, 1, 1, 2, 2, 1, 1]);
  });

  it('refuses a detector, and is of no use after dispose', async () => {
    await expect(createSegmenter(exportedDetector())).rejects.toThrow('Load it with `createDetector`');
    const segmenter = await createSegmenter(exportedSegmenter());
    segmenter.dispose();
    await expect(segmenter.segment(picture)).rejects.toThrow(DisposedError);
  });
});
