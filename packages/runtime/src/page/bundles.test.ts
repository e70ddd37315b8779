/** What exported folders get: each task its own scripts, small, with rarely needed parts in files that are loaded on demand. */
import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Classifiers from '../bundles/classifier.ts';
import { ModelFileError } from '../errors.ts';
import { exportedFiles, plainImage, writeExportedFolder } from '../test/exportedFolder.ts';
import { exportedDetector, exportedSegmenter, exportedTwoStage } from '../test/exportedTask.ts';
import { relativeError, runJudge } from '../test/judge.ts';
import { OnnxWriter, randomValues } from '../test/onnxWriter.ts';
import { buildSingleFile, pageFiles } from './files.ts';

type Files = Readonly<Record<string, Uint8Array>>;

const textOf = (files: Files, path: string): string => new TextDecoder().decode(files[path]);
const compressed = (files: Files, path: string): number => brotliCompressSync(files[path] ?? '').length;

/** Entries of manifests that only those read that find boxes, and a result of segmenters: names that no minifier changes. */
const ofBoxes = 'levelCounts';
const ofMasks = 'shares';
const ofStages = 'objectness';

describe('files of a page', () => {
  let classifier: Files;
  let detector: Files;
  let segmenter: Files;
  let twoStage: Files;
  let folder: string;

  beforeAll(async () => {
    execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/buildPage.mjs', import.meta.url))]);
    classifier = await pageFiles(exportedFiles().manifest);
    detector = await pageFiles(exportedDetector().manifest);
    segmenter = await pageFiles(exportedSegmenter().manifest);
    twoStage = await pageFiles(exportedTwoStage().manifest);
    folder = await writeExportedFolder(classifier);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const bundle = async (): Promise<typeof Classifiers> => {
    const address = pathToFileURL(join(folder, 'classifier.js')).href;
    return (await import(/* @vite-ignore */ address)) as typeof Classifiers;
  };

  it('stay below the sizes that the documentation gives', () => {
    expect(compressed(classifier, 'classifier.js')).toBeLessThan(31_500);
    expect(compressed(classifier, 'page.js')).toBeLessThan(36_000);
    expect(compressed(detector, 'page.js')).toBeLessThan(38_000);
    expect(compressed(segmenter, 'page.js')).toBeLessThan(38_000);
    expect(compressed(twoStage, 'page.js')).toBeLessThan(42_000);
  });

  it('carry nothing of other tasks', () => {
    expect(Object.keys(classifier)).toEqual(
      expect.arrayContaining(['index.html', 'page.js', 'classifier.js']),
    );
    expect(textOf(detector, 'page.js')).toContain(ofBoxes);
    expect(textOf(segmenter, 'page.js')).toContain(ofMasks);
    for (const path of Object.keys(classifier)) {
      expect(textOf(classifier, path), path).not.toContain(ofBoxes);
      expect(textOf(classifier, path), path).not.toContain(ofMasks);
    }
    expect(Object.keys(detector)).not.toContain('classifier.js');
    expect(textOf(detector, 'page.js')).not.toContain(ofMasks);
    // A page has the code for two stages only if its detector needs it; the module for programs loads it from a file.
    expect(textOf(twoStage, 'page.js')).toContain(ofStages);
    expect(textOf(detector, 'page.js')).not.toContain(ofStages);
    expect(textOf(detector, 'detector.js')).not.toContain(ofStages);
    expect(textOf(detector, 'detector/twoStage.js')).toContain(ofStages);
  });

  it('fetch the smallest model with the page', async () => {
    const { manifest, files } = exportedFiles();
    const [model] = manifest.models as readonly { path: string }[];
    const small = { ...model, path: 'onnx/small & quick.onnx', precision: 'int8', bytes: 1 };
    const page = await pageFiles({ ...manifest, models: [model, small] });
    expect(textOf(page, 'index.html')).toContain(
      '<link rel="preload" href="onnx/small%20&amp;%20quick.onnx" as="fetch" crossorigin />',
    );
    expect(await buildSingleFile({ manifest, files })).not.toContain('rel="preload"');
  });

  it('are not written for a manifest that is none', async () => {
    await expect(pageFiles({ format: 'other' })).rejects.toThrow(ModelFileError);
  });

  it('have a classifier that loads the decoder of pictures when it is needed', async () => {
    const { createClassifier } = await bundle();
    using loaded = await createClassifier(folder);
    const [best] = await loaded.classify(plainImage([0, 0, 255]));
    expect(best?.label).toBe('blue');
    await expect(loaded.classify(Uint8Array.of(1, 2, 3))).rejects.toThrow('could not be decoded');
  });

  it('have a classifier that loads threads when they are asked for', async () => {
    const { loadModel } = await bundle();
    const writer = new OnnxWriter([3, 8, 8]);
    using model = await loadModel(writer.file([writer.node('Relu', ['x'])]), { threads: 2 });
    expect(model.threads).toBe(2);
  });

  it('have a classifier that loads operators which its file does not hold', async () => {
    const { loadModel, UnsupportedOperatorError } = await bundle();
    const writer = new OnnxWriter([4, 6, 6]);
    const output = writer.node('HardSwish', ['x']);
    const file = writer.file([output]);
    const [data, shape] = [randomValues(144, 1), [1, 4, 6, 6]];
    using model = await loadModel(file);
    const theirs = await runJudge(file, 'x', data, shape);
    const none = new Float32Array();
    const difference = relativeError(
      model.run(data, shape)[output]?.data ?? none,
      theirs[output]?.data ?? none,
    );
    expect(difference).toBeLessThan(1e-6);
    const other = new OnnxWriter([4, 6, 6]);
    using unknown = await loadModel(other.file([other.node('Erf', ['x'])]));
    expect(() => unknown.run(data, shape)).toThrow(UnsupportedOperatorError);
  });
});
