import { describe, expect, it } from 'vitest';
import { InferenceError, ModelFileError, UnsupportedOperatorError } from './errors.ts';
import { loadModel } from './model.ts';
import { OnnxWriter, randomValues } from './test/onnxWriter.ts';

const shape = [1, 4, 6, 6];
const input = randomValues(144, 1);

/** A small network with most of what files hold. */
function goodFile(): Uint8Array {
  const writer = new OnnxWriter([4, 6, 6]);
  const kernel = writer.constant(randomValues(288, 2), [8, 4, 3, 3]);
  const first = writer.node('Relu', [writer.node('Conv', ['x', kernel], { pads: [1, 1, 1, 1] })]);
  const turned = writer.node('Reshape', [first, writer.integers(0, 2, 4, 6, 6)]);
  const swapped = writer.node('Transpose', [turned], { perm: [0, 2, 1, 3, 4] });
  const joined = writer.node(
    'Concat',
    [writer.node('Reshape', [swapped, writer.integers(0, 8, 6, 6)]), first],
    { axis: 1 },
  );
  const pooled = writer.node('Flatten', [writer.node('GlobalAveragePool', [joined])], { axis: 1 });
  const logits = writer.node('Gemm', [pooled, writer.constant(randomValues(48, 3), [3, 16])], { transB: 1 });
  return writer.file([logits]);
}

/** Loads and runs; gives the error, or null. */
async function attempt(file: Uint8Array): Promise<unknown> {
  try {
    using model = await loadModel(file);
    model.run(input, shape);
    return null;
  } catch (error) {
    return error;
  }
}

describe('damaged model files', () => {
  it('loads the file that the others are made of', async () => {
    expect(await attempt(goodFile())).toBeNull();
  });

  it('refuses the file at whatever length it is cut short', async () => {
    const file = goodFile();
    for (let length = 0; length < file.length; length += 3) {
      expect(await attempt(file.subarray(0, length)), `cut at ${length}`).toBeInstanceOf(InferenceError);
    }
  });

  it('runs or refuses files with any bit changed, and never fails otherwise', async () => {
    const file = goodFile();
    let refused = 0;
    for (let position = 0; position < file.length; position++) {
      const damaged = Uint8Array.from(file);
      damaged[position] = (damaged[position] ?? 0) ^ (1 << ((position * 5) % 8));
      const error = await attempt(damaged);
      if (error === null) continue;
      refused++;
      expect(error, `bit at ${position}`).toBeInstanceOf(InferenceError);
    }
    expect(refused).toBeGreaterThan(100);
  });

  it('refuses other files with a sentence on what to do', async () => {
    const text = new TextEncoder().encode('<!doctype html><title>Not found</title>');
    const error = await attempt(text);
    expect(error).toBeInstanceOf(ModelFileError);
    expect(String(error)).toMatch(/no ONNX model|cut short or damaged/);
  });

  it('names an operator that it does not know', async () => {
    const writer = new OnnxWriter([4, 6, 6]);
    const error = await attempt(writer.file([writer.node('GridSample', ['x', 'x'])]));
    expect(error).toBeInstanceOf(UnsupportedOperatorError);
    expect(error).toMatchObject({ operator: 'GridSample' });
    expect(String(error)).toContain('The operator GridSample is not supported.');
  });

  it('refuses newer versions of ONNX', async () => {
    const writer = new OnnxWriter([4, 6, 6]);
    const error = await attempt(writer.file([writer.node('Relu', ['x'])], 99));
    expect(String(error)).toContain('version 99');
  });

  it('refuses a value that is used before it is computed', async () => {
    const writer = new OnnxWriter([4, 6, 6]);
    const error = await attempt(writer.file([writer.node('Relu', ['later'])]));
    expect(String(error)).toContain('before it is computed');
  });
});
