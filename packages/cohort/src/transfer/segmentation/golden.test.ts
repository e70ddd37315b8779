/** Segmenters against values of torchvision 0.14 (fixtures/README.md). */
import { Generator, nn, noGrad, Tensor } from '@cohort-ml/torch';
import { describe, expect, it, vi } from 'vitest';
import { createNetwork } from '../../models/index.ts';
import { expectClose, fillModule, goldenImages, readJson, uniformSequence } from '../../test/golden.ts';
import { pixelCrossEntropy } from './loss.ts';
import { Segmenter } from './segmenter.ts';

interface Stored {
  fill_seed: number;
  input_seed: number;
  target_seed: number;
  input_shape: number[];
  classes: number;
  parameters: number;
  tensors: [string, number[]][];
  logits_at: { rows: number[]; columns: number[]; values: number[][][][] };
  logits_norm: number;
  loss: number;
  aux_loss: number | null;
  gradient_norms: Record<string, number>;
}
// Whole trainings or networks: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const golden = readJson('segmentation.json') as Record<
  'fcn-resnet50' | 'deeplabv3-resnet50' | 'lraspp-mobilenetv3-large',
  Stored
>;

/** `floor((u + 1) / 2 * classes)`, and 255 at every 29th place of each image. */
function targets({
  target_seed,
  classes,
  input_shape: [batch = 0, , height = 0, width = 0],
}: Stored): Tensor {
  const size = height * width;
  const values = uniformSequence(target_seed, batch * size);
  const labels = BigInt64Array.from(values, (u, index) =>
    (index % size) % 29 === 0
      ? 255n
      : BigInt(Math.min(Math.floor(((Math.fround(u) + 1) / 2) * classes), classes - 1)),
  );
  return Tensor.fromTypedArray(labels, [batch, height, width]);
}

describe.each([
  ['fcn', 'fcn-resnet50', 'imagenet-resnet50', 512, 8],
  ['deeplabv3', 'deeplabv3-resnet50', 'imagenet-resnet50', 256, 8],
  ['lraspp', 'lraspp-mobilenetv3-large', 'imagenet-mobilenetv3-large', 128, 16],
] as const)('%s as %s', (head, name, backbone, width, outputStride) => {
  const stored = golden[name];
  const network = createNetwork(backbone, {
    classes: 2,
    channels: 3,
    generator: new Generator(0),
  });
  const segmenter = new Segmenter(network, {
    head,
    width,
    classes: stored.classes,
    outputStride,
    frozenNorm: false,
    hasAuxiliary: stored.aux_loss !== null,
    generator: new Generator(0),
  }).eval();

  it("has torchvision's names and shapes, in order", () => {
    const found = [...segmenter.namedTensors()].map(([key, { shape }]) => [key, shape]);
    expect(found).toEqual(stored.tensors);
    expect(segmenter.parameterCount()).toBe(stored.parameters);
  });

  it('agrees in logits, both losses and the norms of gradients', () => {
    fillModule(segmenter, stored.fill_seed);
    const output = segmenter.call(goldenImages(stored.input_seed, stored.input_shape));
    const { rows, columns, values } = stored.logits_at;
    const [classes = 0, height = 0, w = 0] = output.logits.shape.slice(1);
    const flat = output.logits.toNumbers();
    const picked = values.map((image, b) =>
      image.map((_, c) =>
        rows.map((row) =>
          columns.map((column) => flat[((b * classes + c) * height + row) * w + column] ?? NaN),
        ),
      ),
    );
    expectClose(Tensor.fromTypedArray(Float32Array.from(picked.flat(3))), values.flat(3), 1e-4, 1e-4);
    expect(Math.abs(noGrad(() => output.logits.norm().item()) / stored.logits_norm - 1)).toBeLessThan(1e-4);
    const labels = targets(stored);
    const loss = pixelCrossEntropy(output.logits, labels, 255);
    expectClose(loss, [stored.loss]);
    if (stored.aux_loss === null) {
      expect(output.auxiliary).toBeNull();
      loss.backward();
    } else {
      if (output.auxiliary === null) throw new Error('expected an auxiliary output');
      const auxiliary = pixelCrossEntropy(output.auxiliary, labels, 255);
      expectClose(auxiliary, [stored.aux_loss]);
      loss.add(auxiliary.mul(0.5)).backward();
    }
    const gradients = new Map<string, nn.Parameter>(segmenter.namedParameters());
    for (const [key, norm] of Object.entries(stored.gradient_norms)) {
      const found = gradients.get(key)?.grad?.norm().item() ?? NaN;
      expect(Math.abs(found - norm), key).toBeLessThanOrEqual(1e-5 + 2e-3 * norm);
    }
  });
});
