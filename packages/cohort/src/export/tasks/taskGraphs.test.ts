/** Segmenters and detectors are traced to files that ONNX's own checker accepts, and that ONNX Runtime computes as LibTorch does. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '@cohort-ml/runtime';
import { Generator, scope, Tensor, type nn } from '@cohort-ml/torch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNetwork } from '../../models/index.ts';
import { numbersOf, pixels, pythonWith, relativeError, runOnnx } from '../../test/exports.ts';
import { fillModule } from '../../test/golden.ts';
import { Detector } from '../../transfer/detection/detector.ts';
import { Segmenter } from '../../transfer/segmentation/segmenter.ts';
import { encodeModel, traceGraph, type TracedOutput } from '../onnx/index.ts';
import { GraphProgram } from '../onnx/interpreter.ts';

const description = { producerVersion: '1', documentation: 'a test', metadata: {} };
const python = pythonWith('onnx');
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cohort-onnx-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Neither square nor a multiple of the strides. */
const shape = [3, 52, 71] as const;
const generator = new Generator(3);

function segmenter(
  head: 'fcn' | 'deeplabv3' | 'pspnet' | 'lraspp',
  backbone = 'resnet8',
  outputStride: number | null = null,
): Segmenter {
  const network = createNetwork(backbone, { classes: 2, channels: 3, generator });
  const options = { head, width: 8, classes: 5, frozenNorm: false, hasAuxiliary: true, generator };
  const model = new Segmenter(network, { ...options, outputStride });
  model.usesAuxiliary = false;
  return model;
}

function detector(form: 'fcos' | 'retinanet'): Detector {
  const network = createNetwork('imagenet-resnet18', { classes: 2, channels: 3, generator });
  return new Detector(network, { form, width: 8, layers: 2, classes: 5, frozenNorm: false, generator });
}

const models: readonly (readonly [
  name: string,
  make: () => { model: nn.AnyModule; run: (images: Tensor) => TracedOutput[] },
])[] = [
  ...(
    [
      ['fcn'],
      ['deeplabv3'],
      ['pspnet'],
      ['lraspp'],
      ['lraspp', 'imagenet-mobilenetv3-small', 16],
      ['deeplabv3', 'imagenet-mobilenetv3-large', 16],
    ] as const
  ).map(
    ([head, backbone, outputStride]) =>
      [
        [head, ...(backbone === undefined ? [] : [backbone])].join(' on '),
        () => {
          const model = segmenter(head, backbone, outputStride);
          return { model, run: (images: Tensor) => [{ name: 'logits', tensor: model.call(images).logits }] };
        },
      ] as const,
  ),
  ...(['fcos', 'retinanet'] as const).map(
    (form) =>
      [
        form,
        () => {
          const model = detector(form);
          return {
            model,
            run: (images: Tensor) => {
              const { logits, shifts, centerness } = model.call(images);
              return [
                { name: 'logits', tensor: logits },
                { name: 'shifts', tensor: shifts },
                ...(centerness === null ? [] : [{ name: 'centerness', tensor: centerness }]),
              ];
            },
          };
        },
      ] as const,
  ),
];

describe.each(models)('%s', (name, make) => {
  test('computes in ONNX Runtime and our runtime what it computes in LibTorch, for batches of any size', async () => {
    const { model, run } = make();
    fillModule(model, 5);
    model.eval();
    const scaled = (images: Tensor): Tensor => images.mul(1 / 255);
    const graph = traceGraph({ name: 'pixel_values', shape }, (images) => run(scaled(images)));
    const file = encodeModel(graph, description);
    writeFileSync(join(folder, `${name}.onnx`), file);
    const program = new GraphProgram(graph);
    const own = await loadModel(file);
    for (const batch of [1, 3]) {
      const values = pixels([batch, ...shape]);
      const found = await runOnnx(file, values, [batch, ...shape]);
      const ours = own.run(values, [batch, ...shape]);
      const interpreted = scope(
        () =>
          new Map(
            [...program.run(Tensor.fromTypedArray(values, [batch, ...shape]))].map(
              ([output, tensor]) => [output, Float32Array.from(tensor.toNumbers())] as const,
            ),
          ),
      );
      const outputs = scope(() =>
        run(scaled(Tensor.fromTypedArray(values, [batch, ...shape]))).map((output) => output.name),
      );
      for (const output of outputs) {
        const expected = numbersOf(() => {
          const all = run(scaled(Tensor.fromTypedArray(values, [batch, ...shape])));
          const tensor = all.find((each) => each.name === output)?.tensor;
          if (tensor === undefined) throw new Error(`expected ${output}`);
          return tensor.contiguous();
        });
        expect(new Set(expected).size, 'different values').toBeGreaterThan(10);
        expect(relativeError(found.get(output), expected), `${output} by ONNX Runtime`).toBeLessThan(1e-4);
        expect(relativeError(interpreted.get(output), expected), `${output} by LibTorch`).toBeLessThan(1e-4);
        expect(relativeError(ours[output]?.data, expected), `${output} by our runtime`).toBeLessThan(1e-5);
      }
    }
    program.dispose();
    own.dispose();
  });

  test.skipIf(python === null)("is accepted by ONNX's checker, with the shapes it declares", () => {
    const script = [
      'import onnx, sys',
      'model = onnx.load(sys.argv[1])',
      'onnx.checker.check_model(model, full_check=True)',
      "print(','.join(str(d.dim_value or d.dim_param) for o in model.graph.output for d in o.type.tensor_type.shape.dim))",
    ].join('\n');
    const printed = execFileSync(python ?? '', ['-c', script, join(folder, `${name}.onnx`)], {
      encoding: 'utf8',
    });
    expect(printed).toMatch(/^batch,\d+,\d+/);
  });
});
