/** Faster and Mask R-CNN in ONNX Runtime: the objects of one image are those that LibTorch finds. */
import { Generator, scope, Tensor } from '@cohort-ml/torch';
import { expect, it, vi } from 'vitest';
import { createNetwork } from '../../models/index.ts';
import { pixels, runOnnx } from '../../test/exports.ts';
import { fillModule } from '../../test/golden.ts';
import { Rcnn } from '../../transfer/detection/rcnn/rcnn.ts';
import { encodeModel } from '../onnx/index.ts';
import { twoStageGraph } from './twoStageGraph.ts';

vi.setConfig({ testTimeout: 600_000 });

const [height, width] = [96, 128];
const classes = 4;

it.each([
  ['faster-rcnn', false],
  ['mask-rcnn', true],
])('%s finds the same boxes, scores, labels and masks', async (_, hasMasks) => {
  const network = createNetwork('imagenet-resnet18', {
    classes: 2,
    channels: 3,
    generator: new Generator(3),
  });
  const model = new Rcnn(network, {
    classes,
    width: 16,
    hidden: 32,
    hasMasks,
    frozenNorm: false,
    generator: new Generator(3),
    proposals: { before: 100, after: 60 },
  });
  fillModule(model, 5);
  model.eval();
  const normalise = (images: Tensor): Tensor => images.mul(1 / 255);
  const choice = { scoreThreshold: 0.05, overlapThreshold: 0.5, mostDetections: 40 };
  const input = { name: 'pixel_values', shape: [3, height, width] as const };
  const { graph } = twoStageGraph({ model, input, normalise, classes, choice });
  const file = encodeModel(graph, { producerVersion: '1', documentation: 'a test', metadata: {} });
  const values = pixels([1, 3, height, width]);
  // The picture does not fill the image: boxes end at its border.
  const size = { height: 80, width };
  const found = await runOnnx(file, values, [1, 3, height, width], {
    picture_size: [size.height, size.width],
  });
  const expected = scope(() => {
    const output = model.call(normalise(Tensor.fromTypedArray(values, [1, 3, height, width])));
    return model.detect(output, 0, size, choice);
  });
  const [boxes, scores, labels, masks] = ['boxes', 'scores', 'labels', 'masks'].map(
    (name) => found.get(name) ?? new Float32Array(),
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  expect(scores.length).toBe(expected.scores.length);
  expect(scores.length).toBeGreaterThan(3);
  expect([...labels]).toEqual([...expected.categories]);
  for (const [place, score] of expected.scores.entries()) expect(scores[place]).toBeCloseTo(score, 4);
  for (const [place, side] of expected.boxes.entries()) expect(boxes[place]).toBeCloseTo(side, 2);
  expect(masks.length).toBe(hasMasks ? 28 * 28 * scores.length : 0);
  for (const [place, mask] of (expected.masks ?? []).entries()) {
    const own = masks.subarray(28 * 28 * place, 28 * 28 * (place + 1));
    const worst = mask.values.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - (own[at] ?? NaN))),
      0,
    );
    expect(worst).toBeLessThan(1e-3);
  }
  model.dispose();
});
