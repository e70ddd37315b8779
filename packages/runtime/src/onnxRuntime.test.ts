import * as onnxNode from 'onnxruntime-node';
import { describe, expect, it, vi } from 'vitest';
import { createClassifier } from './classifier/classifier.ts';
import { DisposedError, ModelFileError } from './errors.ts';
import { exportedFiles, modelPath, plainImage } from './test/exportedFolder.ts';

const colours = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
];

describe('ONNX Runtime as a backend', () => {
  it.each([
    ['onnxruntime-web by its name', 'onnxruntime-web' as const],
    ['a module with its interface', onnxNode],
  ])('gives the probabilities of our own: %s', async (_, backend) => {
    using own = await createClassifier(exportedFiles());
    using other = await createClassifier(exportedFiles(), { backend });
    await other.warmUp();
    const images = colours.map((colour) => plainImage(colour));
    const answers = await Promise.all(images.map((image) => other.classify(image)));
    for (const [index, image] of images.entries()) {
      const expected = await own.classify(image);
      expect(answers[index]?.map(({ label }) => label)).toEqual(expected.map(({ label }) => label));
      expect(answers[index]?.[0]?.probability).toBeCloseTo(expected[0]?.probability ?? NaN, 5);
    }
    const network = { network: 'linear-1' };
    const [embedding, expected] = await Promise.all([
      other.embed(plainImage([255, 0, 0]), network),
      own.embed(plainImage([255, 0, 0]), network),
    ]);
    expect(Array.from(embedding)).toEqual(Array.from(expected));
  });

  it('loads the bytes of a model file', async () => {
    const bytes = exportedFiles().files[modelPath] ?? new Uint8Array();
    using classifier = await createClassifier(bytes, { backend: onnxNode, labels: ['a', 'b', 'c', 'd'] });
    expect(classifier.manifest.input).toMatchObject({ channels: 3, height: 8, width: 8 });
  });

  it('refuses a damaged file, and calls after dispose', async () => {
    const damaged = createClassifier(new Uint8Array([8, 1, 2, 3]), { backend: onnxNode });
    await expect(damaged).rejects.toThrow(ModelFileError);
    await expect(damaged).rejects.toThrow('ONNX Runtime could not load the model');
    const classifier = await createClassifier(exportedFiles(), { backend: onnxNode });
    const waiting = classifier.classify(plainImage([255, 0, 0]));
    classifier.dispose();
    await expect(waiting).rejects.toThrow(DisposedError);
  });

  it('says how to install onnxruntime-web where it is missing', async () => {
    vi.doMock('onnxruntime-web', () => {
      throw new Error('Cannot find package');
    });
    vi.resetModules();
    try {
      const { loadWithOnnxRuntime } = await import('./onnxRuntime.ts');
      const loading = loadWithOnnxRuntime(new Uint8Array(), 'onnxruntime-web');
      await expect(loading).rejects.toMatchObject({ name: 'EnvironmentError' });
      await expect(loading).rejects.toThrow('npm install onnxruntime-web');
    } finally {
      vi.doUnmock('onnxruntime-web');
    }
  });
});
