/** Faster and Mask R-CNN against values of torchvision 0.14 (fixtures/README.md). */
import { Generator, nn, ops, Tensor } from '@cohort-ml/torch';
import { describe, expect, it, vi } from 'vitest';
import { createNetwork } from '../../../models/index.ts';
import { at } from '../../../support/at.ts';
import { expectClose, readJson } from '../../../test/golden.ts';
import {
  batchSize,
  fillDetector,
  fittedSizes,
  goldenBatch,
  goldenTruths,
  type StoredDetector,
} from '../testingDetectors.ts';
import { pastePatch } from '../../masks/paste.ts';
import { Rcnn } from './rcnn.ts';
import { takeAll } from './sampling.ts';

// Whole trainings or networks: a machine ten times slower must pass too.
vi.setConfig({ testTimeout: 1_200_000 });

const golden = readJson('detectors.json') as Record<'faster-rcnn' | 'mask-rcnn', StoredDetector>;

/** Ellipses inside of the boxes, at the size of the batch: 1 where the pixel's centre is at most one radius away. */
function ellipses({ boxes, image_sizes }: StoredDetector, image: number): Tensor {
  const [height, width] = at(image_sizes, image);
  const size = at(fittedSizes, image);
  const masks = at(boxes, image).map(([x0 = 0, y0 = 0, x1 = 0, y1 = 0]) => {
    const [cx, cy, rx, ry] = [(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2];
    const values = Float32Array.from({ length: height * width }, (_, place) => {
      const [x, y] = [(place % width) + 0.5, Math.floor(place / width) + 0.5];
      return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1 ? 1 : 0;
    });
    return Tensor.fromTypedArray(values, [1, 1, height, width]);
  });
  // Nearest, as torchvision resizes masks.
  const resized = ops.upsampleNearest2d(ops.cat(masks, 0), [size.height, size.width]);
  return resized
    .squeeze(1)
    .constantPadNd([0, batchSize.width - size.width, 0, batchSize.height - size.height], 0);
}

describe.each(['faster-rcnn', 'mask-rcnn'] as const)('%s on ResNet-18', (form) => {
  const stored = golden[form];
  const network = createNetwork('imagenet-resnet18', {
    classes: 2,
    channels: 3,
    generator: new Generator(0),
  });
  const model = new Rcnn(network, {
    classes: stored.classes - 1,
    width: 256,
    hidden: 1024,
    hasMasks: form === 'mask-rcnn',
    frozenNorm: true,
    generator: new Generator(0),
    shapes: [16, 32, 64, 96, 128].map((size) => ({ sizes: [size], ratios: [0.5, 1, 2] })),
    proposals: { before: 200, after: 100 },
  });
  const named = [...model.namedTensors()].filter(([name]) => !name.endsWith('num_batches_tracked'));

  it("has torchvision's names and shapes, in order", () => {
    expect(named.map(([name, { shape }]) => [name, shape])).toEqual(stored.tensors);
  });

  it('agrees in losses, norms of gradients and detections', () => {
    fillDetector(named, stored);
    const output = model.call(goldenBatch(stored));
    const truths = goldenTruths(stored).map(({ boxes, categories }, image) => ({
      boxes,
      // Here categories are counted from 0, without the background.
      categories: categories.map((category) => category - 1),
      masks: ellipses(stored, image),
    }));
    const loss = model.loss(output, truths, fittedSizes, { anchors: takeAll, proposals: takeAll });
    const names: Record<string, string> = {
      classes: 'loss_classifier',
      boxes: 'loss_box_reg',
      masks: 'loss_mask',
      objectness: 'loss_objectness',
      proposals: 'loss_rpn_box_reg',
    };
    expect(Object.keys(loss)).toHaveLength(Object.keys(stored.losses).length);
    for (const [name, value] of Object.entries(loss)) {
      expectClose(value, [stored.losses[names[name] ?? ''] ?? NaN], 1e-4, 1e-6);
    }
    ops.stack(Object.values(loss), 0).sum().backward();
    const gradients = new Map<string, nn.Parameter>(model.namedParameters());
    for (const [name, norm] of Object.entries(stored.gradient_norms)) {
      const found = gradients.get(name)?.grad?.norm().item() ?? NaN;
      expect(Math.abs(found - norm), name).toBeLessThanOrEqual(1e-5 + 1e-3 * norm);
    }
    for (const [index, expected] of stored.detections.entries()) {
      const size = at(fittedSizes, index);
      const found = model.detect(output, index, size, {
        scoreThreshold: 0.05,
        overlapThreshold: 0.5,
        mostDetections: 20,
      });
      const factor = at(at(stored.image_sizes, index), 0) / size.height;
      expect(found.categories.map((category) => category + 1)).toEqual(expected.labels);
      expectClose(Tensor.fromTypedArray(Float32Array.from(found.scores)), expected.scores, 0, 1e-4);
      expectClose(
        Tensor.fromTypedArray(found.boxes.map((side) => side * factor)),
        expected.boxes.flat(),
        0,
        0.02,
      );
      const sums = (found.masks ?? []).map((patch, place) => {
        const box = found.boxes.slice(4 * place, 4 * place + 4).map((side) => side * factor);
        const [height, width] = at(stored.image_sizes, index);
        return pastePatch(patch, box, { height, width }).values.reduce((sum, value) => sum + value, 0);
      });
      expectClose(Tensor.fromTypedArray(Float32Array.from(sums)), expected.mask_sums ?? [], 1e-3, 0.01);
    }
  });
});
