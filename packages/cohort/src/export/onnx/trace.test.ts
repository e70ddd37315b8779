/** What is traced is what was computed: aliases, changes in place, constants, and refusals of what a graph cannot say. */
import { ops, scope, Tensor, tensor } from '@cohort-ml/torch';
import { expect, test } from 'vitest';
import { ExportError } from '../errors.ts';
import { GraphProgram } from './interpreter.ts';
import { traceGraph } from './trace.ts';
import type { Graph } from './graph.ts';

const shape = [2, 3, 4] as const;

function trace(body: (images: Tensor) => Tensor): Graph {
  return traceGraph({ name: 'pixel_values', shape }, (images) => [{ name: 'logits', tensor: body(images) }]);
}

/** The traced graph on other images than it was traced on, in a batch of another size, compared with the function itself. */
function compare(body: (images: Tensor) => Tensor): { actual: number[]; expected: number[] } {
  const program = new GraphProgram(trace(body));
  return scope(() => {
    const make = (): Tensor =>
      ops
        .arange(3 * 24, { dtype: 'float32' })
        .sub(30)
        .view([3, ...shape]);
    const actual = program.run(make()).get('logits')?.toNumbers() ?? [];
    program.dispose();
    return { actual, expected: body(make()).toNumbers() };
  });
}

test.each<[string, (images: Tensor) => Tensor]>([
  ['a change in place reaches aliases that were made before it', (images) => {
    const sum = images.add(1);
    const alias = sum.alias();
    sum.relu_();
    return alias.mul(2).mean([2, 3]);
  }],
  ['weights may be computed from weights', (images) => {
    const weight = tensor([[1, 2], [3, 4], [5, 6]]).mul(2).add(1);
    return ops.linear(images.mean([2, 3]), weight, null);
  }],
  ['the batch may lie behind another dimension', (images) => {
    const means = images.mean([2, 3]);
    return ops.stack([means, means.mul(3)], 0).mean([0]);
  }],
  ['sums, softmax, products and slices follow their dimensions', (images) => {
    const maps = images.narrow(1, 1, 1).flatten(2); // [B, 1, 12]
    const weights = images.sum([1]).flatten(1).softmax(1).unsqueeze(2); // [B, 12, 1]
    return ops.cat([maps.bmm(weights).flatten(1), images.mean([2, 3])], -1);
  }],
  ['pooling in windows of every form', (images) =>
    ops.cat([images.maxPool2d(2, 1, 1).flatten(1), images.avgPool2d([3, 2], 2, 1).flatten(1), images.adaptiveAvgPool2d([1, 2]).flatten(1)], 1)],
])('%s', (_, body) => {
  const { actual, expected } = compare(body);
  expect(actual).toHaveLength(expected.length);
  for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, 4);
}); // prettier-ignore

test('networks that share layers share their nodes', () => {
  const graph = traceGraph({ name: 'pixel_values', shape }, (images) => {
    const trunk = (): Tensor => images.mul(2).relu().mean([2, 3]);
    return [
      { name: 'logits', tensor: trunk().add(1) },
      { name: 'logits_other', tensor: trunk().add(2) },
    ];
  });
  const count = (operator: string): number => graph.nodes.filter((node) => node.operator === operator).length;
  expect([count('Relu'), count('GlobalAveragePool'), count('Add')]).toEqual([1, 1, 2]);
});

test('an operator without translation is refused by name', () => {
  expect(() => trace((images) => images.erf())).toThrow(ExportError);
  expect(() => trace((images) => images.erf())).toThrow(
    'The operator erf cannot be exported: it has no translation to ONNX.',
  );
});

test('a change in place of memory that a view shares is refused', () => {
  const body = (images: Tensor): Tensor => {
    const sum = images.add(1);
    const half = sum.narrow(1, 0, 1);
    sum.relu_();
    return half;
  };
  expect(() => trace(body)).toThrow('changes a tensor in place (relu_) whose memory another one shares');
});

test('an output that images do not reach is refused', () => {
  expect(() => trace(() => tensor([[1, 2]]))).toThrow('The output logits does not depend on the images.');
});
