import { describe, expect, it } from 'vitest';
import { DisposedError, InputError } from './errors.ts';
import { loadModel } from './model.ts';
import { OnnxWriter, randomValues } from './test/onnxWriter.ts';

function smallFile(): Uint8Array {
  const writer = new OnnxWriter([3, 'height', 'width']);
  const kernel = writer.constant(randomValues(216, 1), [8, 3, 3, 3]);
  const first = writer.node('Relu', [writer.node('Conv', ['x', kernel], { pads: [1, 1, 1, 1] })]);
  return writer.file([writer.node('GlobalAveragePool', [first])]);
}

describe('Model', () => {
  it('tells the names and sizes of what it takes and gives', async () => {
    using model = await loadModel(smallFile());
    expect(model.inputName).toBe('x');
    expect(model.inputShape).toEqual(['batch', 3, 'height', 'width']);
    expect(model.outputNames).toHaveLength(1);
  });

  it('computes every image of a batch as if it were alone', async () => {
    using model = await loadModel(smallFile());
    const images = randomValues(3 * 3 * 64, 2);
    const [batch] = Object.values(model.run(images, [3, 3, 8, 8]));
    expect(batch?.shape).toEqual([3, 8, 1, 1]);
    for (const index of [0, 1, 2]) {
      const [one] = Object.values(model.run(images.subarray(index * 192, (index + 1) * 192), [1, 3, 8, 8]));
      expect(batch?.data.subarray(index * 8, (index + 1) * 8)).toEqual(one?.data);
    }
  });

  it('gives the same values again, also after images of another size', async () => {
    using model = await loadModel(smallFile());
    const image = randomValues(192, 3);
    const before = model.run(image, [1, 3, 8, 8]);
    model.run(randomValues(3 * 11 * 5, 4), [1, 3, 11, 5]);
    expect(model.run(image, [1, 3, 8, 8])).toEqual(before);
  });

  it('gives results that later runs do not change', async () => {
    using model = await loadModel(smallFile());
    const [first] = Object.values(model.run(randomValues(192, 5), [1, 3, 8, 8]));
    const copy = Float32Array.from(first?.data ?? []);
    model.run(randomValues(192, 6), [1, 3, 8, 8]);
    expect(first?.data).toEqual(copy);
  });

  it('keeps two models apart', async () => {
    using one = await loadModel(smallFile());
    const image = randomValues(192, 7);
    const before = one.run(image, [1, 3, 8, 8]);
    using other = await loadModel(smallFile());
    other.run(randomValues(192, 8), [1, 3, 8, 8]);
    expect(one.run(image, [1, 3, 8, 8])).toEqual(before);
  });

  it.each([
    ['too few values', 191, [1, 3, 8, 8], 'needs 192'],
    ['other channels', 256, [1, 4, 8, 8], 'the model takes [batch, 3, height, width]'],
    ['no images', 0, [0, 3, 8, 8], 'the model takes'],
    ['another rank', 192, [3, 8, 8], 'the model takes'],
  ])('refuses %s', async (_, count, shape, message) => {
    using model = await loadModel(smallFile());
    const run = (): unknown => model.run(new Float32Array(count), shape);
    expect(run).toThrow(InputError);
    expect(run).toThrow(message);
  });

  it('does nothing more after it was disposed of', async () => {
    const model = await loadModel(smallFile());
    expect(model.memoryBytes).toBeGreaterThan(0);
    model.dispose();
    model.dispose();
    expect(model.memoryBytes).toBe(0);
    expect(() => model.run(new Float32Array(192), [1, 3, 8, 8])).toThrow(DisposedError);
  });
});
