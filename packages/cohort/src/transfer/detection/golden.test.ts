/** One-stage detectors against values of torchvision 0.14 (fixtures/README.md). */
import { Generator, nn, ops, Tensor } from '@cohort-ml/torch';
import { describe, expect, it, vi } from 'vitest';
import { createNetwork } from '../../models/index.ts';
import { at } from '../../support/at.ts';
import { expectClose, readJson } from '../../test/golden.ts';
import { detectionsOf } from './detections.ts';
import { Detector, publishedShapes } from './detector.ts';
import { fcosLoss, retinanetLoss } from './losses.ts';
import {
  fillDetector,
  fittedSizes,
  goldenBatch,
  goldenTruths,
  type StoredDetector,
} from './testingDetectors.ts';

// Whole trainings or networks: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const golden = readJson('detectors.json') as Record<'fcos' | 'retinanet', StoredDetector>;

const retinaSizes = [16, 32, 64, 96, 128].map((size) => ({
  sizes: [0, 1, 2].map((third) => Math.trunc(size * 2 ** (third / 3))),
  ratios: [0.5, 1, 2],
}));

describe.each(['fcos', 'retinanet'] as const)('%s on ResNet-18', (form) => {
  const stored = golden[form];
  const network = createNetwork('imagenet-resnet18', {
    classes: 2,
    channels: 3,
    generator: new Generator(0),
  });
  const detector = new Detector(network, {
    form,
    classes: stored.classes,
    width: 256,
    layers: 4,
    frozenNorm: true,
    generator: new Generator(0),
    shapes: form === 'fcos' ? publishedShapes('fcos', [8, 16, 32, 64, 128]) : retinaSizes,
  });
  const named = [...detector.namedTensors()].filter(([name]) => !name.endsWith('num_batches_tracked'));

  it("has torchvision's names and shapes, in order", () => {
    expect(named.map(([name, { shape }]) => [name, shape])).toEqual(stored.tensors);
  });

  it('agrees in losses, norms of gradients and detections', () => {
    fillDetector(named, stored);
    const output = detector.call(goldenBatch(stored));
    const truths = goldenTruths(stored);
    const loss = form === 'fcos' ? fcosLoss(output, truths) : retinanetLoss(output, truths);
    const names = {
      classes: 'classification',
      boxes: 'bbox_regression',
      centerness: 'bbox_ctrness',
    } as const;
    for (const [name, value] of Object.entries(loss)) {
      expectClose(value, [stored.losses[names[name as keyof typeof names]] ?? NaN]);
    }
    ops.stack(Object.values(loss), 0).sum().backward();
    const gradients = new Map<string, nn.Parameter>(detector.namedParameters());
    const tolerance = form === 'fcos' ? 5e-3 : 1e-3;
    for (const [name, norm] of Object.entries(stored.gradient_norms)) {
      const found = gradients.get(name)?.grad?.norm().item() ?? NaN;
      expect(Math.abs(found - norm), name).toBeLessThanOrEqual(1e-5 + tolerance * norm);
    }
    for (const [index, expected] of stored.detections.entries()) {
      const choice = {
        scoreThreshold: form === 'fcos' ? 0.2 : 0.05,
        overlapThreshold: form === 'fcos' ? 0.6 : 0.5,
        mostDetections: 20,
      };
      const size = at(fittedSizes, index);
      const found = detectionsOf(output, form, index, size, choice);
      const factor = at(at(stored.image_sizes, index), 0) / size.height;
      expect(found.categories).toEqual(expected.labels);
      expectClose(Tensor.fromTypedArray(Float32Array.from(found.scores)), expected.scores, 0, 1e-4);
      const boxes = found.boxes.map((side) => side * factor);
      expectClose(Tensor.fromTypedArray(boxes), expected.boxes.flat(), 0, 0.02);
    }
  });
});
