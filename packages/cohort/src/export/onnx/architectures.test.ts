/** Every architecture is traced to a file that ONNX's own checker accepts, and that ONNX Runtime and our runtime compute as LibTorch does. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '@cohort-ml/runtime';
import { scope, Tensor } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BatchNormaliser } from '../../data/index.ts';
import { modelNames } from '../../models/index.ts';
import { numbersOf, pixels, pythonWith, relativeError, runOnnx, trainedLike } from '../../test/exports.ts';
import { withFloat16Weights } from './float16.ts';
import { encodeModel, traceGraph, type Graph } from './index.ts';
import { GraphProgram } from './interpreter.ts';

const description = { producerVersion: '1', documentation: 'a test', metadata: { labels: '["a"]' } };
const python = pythonWith('onnx');
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cohort-onnx-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Traced {
  readonly graph: Graph;
  readonly shape: readonly [number, number, number];
  readonly run: (images: Tensor) => { readonly logits: Tensor; readonly embedding: Tensor };
  readonly dispose: () => void;
}

/** On images that are neither square nor a multiple of the strides. */
function traced(name: string): Traced {
  const network = trainedLike(name, { classes: 5, channels: 3 });
  const normaliser = new BatchNormaliser({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3] });
  const shape = [3, 2 * network.totalStride, 2 * network.totalStride + 3] as const;
  const run: Traced['run'] = (images) => network.call(normaliser.apply(images));
  const graph = traceGraph({ name: 'pixel_values', shape }, (images) => {
    const { logits, embedding } = run(images);
    return [
      { name: 'logits', tensor: logits },
      { name: 'embedding', tensor: embedding },
    ];
  });
  const dispose = (): void => {
    network.dispose();
    normaliser.dispose();
  };
  return { graph, shape, run, dispose };
}

describe.each(modelNames())('%s', (name) => {
  test('computes in ONNX Runtime and our runtime what it computes in LibTorch, for batches of any size', async () => {
    const { graph, shape, run, dispose } = traced(name);
    const file = encodeModel(graph, description);
    writeFileSync(join(folder, `${name}.onnx`), file);
    const program = new GraphProgram(graph);
    const model = await loadModel(file);
    for (const batch of [1, 3]) {
      const input = pixels([batch, ...shape]);
      const images = (): Tensor => Tensor.fromTypedArray(input, [batch, ...shape]);
      const logits = numbersOf(() => run(images()).logits);
      const embedding = numbersOf(() => run(images()).embedding);
      const outputs = await runOnnx(file, input, [batch, ...shape]);
      expect(relativeError(outputs.get('logits'), logits)).toBeLessThan(1e-5);
      expect(relativeError(outputs.get('embedding'), embedding)).toBeLessThan(1e-5);
      const ours = model.run(input, [batch, ...shape]);
      expect(relativeError(ours.logits?.data, logits)).toBeLessThan(1e-5);
      expect(relativeError(ours.embedding?.data, embedding)).toBeLessThan(1e-5);
      const own = scope(() => Float32Array.from(program.run(images()).get('logits')?.toNumbers() ?? []));
      expect(relativeError(own, logits)).toBeLessThan(1e-5);
    }
    model.dispose();
    program.dispose();
    dispose();
  });
});

test('float16 weights halve the file and change scores by less than float16 can tell apart', async () => {
  const { graph, shape, run, dispose } = traced('resnet20');
  const file = encodeModel(withFloat16Weights(graph), description);
  writeFileSync(join(folder, 'float16.onnx'), file);
  const input = pixels([2, ...shape]);
  const expected = numbersOf(() => run(Tensor.fromTypedArray(input, [2, ...shape])).logits);
  const error = relativeError((await runOnnx(file, input, [2, ...shape])).get('logits'), expected);
  expect(error).toBeGreaterThan(1e-6);
  expect(error).toBeLessThan(5e-3);
  expect(file.length / encodeModel(graph, description).length).toBeLessThan(0.53);
  dispose();
});

test.skipIf(python === null)(
  "every file passes the full check of ONNX's own package (Debian: python3-onnx)",
  () => {
    const script = `
import glob, onnx, sys
for path in sorted(glob.glob(sys.argv[1] + '/*.onnx')):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    sizes = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    print(model.ir_version, model.opset_import[0].version, sizes[0], len(model.metadata_props), [o.name for o in model.graph.output])
`;
    const printed = execFileSync(python ?? '', ['-c', script, folder], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(printed).toHaveLength(modelNames().length + 1);
    for (const line of printed) expect(line).toBe("8 17 batch 1 ['logits', 'embedding']");
  },
);
