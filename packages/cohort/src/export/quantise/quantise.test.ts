/** Graphs in 8 bits: small, close to those in float32, and the same in ONNX Runtime's integer kernels as node by node. */
import { scope, Tensor } from '@cohort-ml/torch';
import { describe, expect, test } from 'vitest';
import { BatchNormaliser } from '../../data/index.ts';
import { numbersOf, pixels, relativeError, runOnnx, trainedLike } from '../../test/exports.ts';
import { encodeModel, traceGraph, type Graph } from '../onnx/index.ts';
import { GraphProgram } from '../onnx/interpreter.ts';
import { quantise, type ImageBatches } from './calibrate.ts';
import { rangeMethods } from './ranges.ts';

const shape = [3, 16, 16] as const;
const description = { producerVersion: '1', documentation: 'a test', metadata: {} };

function traced(name: string): Graph {
  const network = trainedLike(name, { classes: 5, channels: 3 });
  const normaliser = new BatchNormaliser({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3] });
  const graph = traceGraph({ name: 'pixel_values', shape }, (images) => [
    { name: 'logits', tensor: network.call(normaliser.apply(images)).logits },
  ]);
  network.dispose();
  normaliser.dispose();
  return graph;
}

const input = pixels([4, ...shape]);
const images = (): Tensor => Tensor.fromTypedArray(input, [4, ...shape]);

const batches: ImageBatches = async function* () {
  await Promise.resolve();
  yield images();
};

function run(graph: Graph): Float32Array {
  const program = new GraphProgram(graph);
  try {
    return scope(() => Float32Array.from(program.run(images()).get('logits')?.toNumbers() ?? []));
  } finally {
    program.dispose();
  }
}

const options = { calibration: batches, selection: batches, weightBits: 8 } as const;

describe.each(['resnet8', 'mobilenetv2', 'shufflenetv2-0.5x', 'wrn-16-2', 'densenet-40-12'])('%s', (name) => {
  test('has int8 weights, a quarter of the size, and nearly the same scores in ONNX Runtime', async () => {
    const graph = traced(name);
    const quantised = await quantise(graph, ['logits'], { ...options, method: 'min-max' });
    const file = encodeModel(quantised.graph, description);

    const constants = [...quantised.graph.constants.values()];
    const wide = constants.filter(({ type, shape: sizes }) => type === 'float32' && sizes.length > 1);
    // What normalises the input.
    expect(wide.map(({ shape: sizes }) => sizes.join())).toEqual(['1,3,1,1', '1,3,1,1']);
    const weights = constants.filter(({ type, shape: sizes }) => type === 'int8' && sizes.length > 1);
    const products = graph.nodes.filter(({ operator }) => operator === 'Conv' || operator === 'Gemm');
    expect(weights).toHaveLength(products.length);
    for (const { data } of weights) expect(new Int8Array(data.buffer).includes(-128)).toBe(false);
    expect(file.length).toBeLessThan(0.45 * encodeModel(graph, description).length);

    const exact = run(graph);
    const simulated = run(quantised.graph);
    const measured = (await runOnnx(file, input, [4, ...shape])).get('logits');
    expect(relativeError(simulated, exact)).toBeLessThan(0.12);
    expect(relativeError(measured, exact)).toBeLessThan(0.12);
    // Where a value lies between two levels, a rounding decides; nothing else differs.
    expect(relativeError(measured, simulated)).toBeLessThan(0.06);
  });
});

test('of all ways to set ranges, the one with the smallest divergence is taken', async () => {
  const { method, divergences } = await quantise(traced('resnet8'), ['logits'], options);
  const measured = rangeMethods.map((each) => divergences[each] ?? NaN);
  for (const value of measured) expect(value).toBeGreaterThanOrEqual(0);
  expect(divergences[method]).toBe(Math.min(...measured));
});

test('weights of 7 bits stay within 63', async () => {
  const { graph } = await quantise(traced('resnet8'), ['logits'], {
    ...options,
    weightBits: 7,
    method: 'min-max',
  });
  const values = [...graph.constants.values()]
    .filter(({ type }) => type === 'int8')
    .flatMap(({ data }) => Array.from(data, Number));
  expect(Math.max(...values)).toBe(63);
  expect(Math.min(...values)).toBe(-63);
});

test('values that are moved keep their scale, so that runtimes can move them in 8 bits', async () => {
  const { graph } = await quantise(traced('shufflenetv2-0.5x'), ['logits'], {
    ...options,
    method: 'min-max',
  });
  const quantisedBy = new Map(
    graph.nodes
      .filter(({ operator }) => operator === 'DequantizeLinear')
      .map(({ output, inputs }) => [output, inputs.slice(1).join()]),
  );
  const scaleAfter = (value: string): string | undefined => {
    const node = graph.nodes.find(
      ({ operator, inputs }) => operator === 'QuantizeLinear' && inputs[0] === value,
    );
    return node?.inputs.slice(1).join();
  };
  const slices = graph.nodes.filter(({ operator }) => operator === 'Slice');
  expect(slices.length).toBeGreaterThan(20);
  for (const { inputs, output } of slices) {
    expect(scaleAfter(output)).toBe(quantisedBy.get(inputs[0] ?? ''));
  }
});

test('a network in float32 is not changed by being quantised', async () => {
  const graph = traced('resnet8');
  const before = numbersOf(() => Tensor.fromTypedArray(run(graph)));
  await quantise(graph, ['logits'], { ...options, method: 'entropy' });
  expect(run(graph)).toEqual(before);
});
