/**
 * Puts a graph into QDQ form: a quantising and a dequantising node after every value of the plan, weights in int8 per output
 * channel, biases in int32. Runtimes fuse these with the operators between them to 8-bit kernels; one that does not computes
 * the same in floating point.
 */
import type { Graph, GraphConstant, GraphNode } from '../onnx/graph.ts';
import type { QuantisationPlan } from './plan.ts';
import type { Range } from './ranges.ts';

/** Bits of weights: 7 for processors without VNNI, whose 16-bit sums of products of 8 bits overflow. */
export type WeightBits = 7 | 8;

/** Smallest scale: a value that is always zero has no range. */
const smallestScale = 1e-12;

/** Biases are kept this far inside of int32. */
const largestBias = 2 ** 30;

/** @param ranges of every value that the plan takes a range from */
export function quantiseGraph(
  graph: Graph,
  { rangeOf, weighted }: QuantisationPlan,
  ranges: ReadonlyMap<string, Range>,
  weightBits: WeightBits,
): Graph {
  const constants = new Map(graph.constants);
  const nodes: GraphNode[] = [];
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const scales = new Map<string, number>();
  /** What nodes read in place of a quantised value. */
  const replacement = new Map<string, string>();
  const rename = (name: string): string => replacement.get(name) ?? name;

  for (const [value, source] of rangeOf) {
    const range = ranges.get(source) ?? { lowest: 0, highest: 0 };
    scales.set(value, Math.fround(Math.max(smallestScale, (range.highest - range.lowest) / 255)));
  }
  const weightedNodes = new Set(weighted);
  for (const node of graph.nodes) {
    const range = rangeOf.get(node.output);
    const isOutput = outputs.has(node.output);
    const output = range !== undefined && isOutput ? `${node.output}_exact` : node.output;
    let inputs = node.inputs.map(rename);
    if (weightedNodes.has(node)) {
      const scale = scales.get(node.inputs[0] ?? '') ?? 1;
      const stored = quantiseWeights(node, graph.constants, scale, weightBits);
      for (const [name, constant] of stored.constants) constants.set(name, constant);
      nodes.push(...stored.nodes);
      inputs = [inputs[0] ?? '', ...stored.inputs];
    }
    nodes.push({ ...node, inputs, output });
    if (range === undefined) continue;
    const scale = scales.get(node.output) ?? 1;
    const { lowest } = ranges.get(range) ?? { lowest: 0 };
    const zero = Math.min(255, Math.max(0, Math.round(-lowest / scale)));
    const parameters = [`${range}_scale`, `${range}_zero`];
    constants.set(`${range}_scale`, { type: 'float32', shape: [], data: Float32Array.of(scale) });
    constants.set(`${range}_zero`, { type: 'uint8', shape: [], data: Uint8Array.of(zero) });
    const quantised = `${node.output}_quantised`;
    const restored = isOutput ? node.output : `${node.output}_restored`;
    nodes.push(
      { operator: 'QuantizeLinear', inputs: [output, ...parameters], output: quantised, attributes: {} },
      {
        operator: 'DequantizeLinear',
        inputs: [quantised, ...parameters],
        output: restored,
        attributes: {},
      },
    );
    replacement.set(node.output, restored);
  }
  return { ...graph, nodes, constants };
}

interface StoredWeights {
  readonly nodes: readonly GraphNode[];
  readonly constants: readonly (readonly [string, GraphConstant])[];
  /** Weight and, where there is one, bias as the node reads them. */
  readonly inputs: readonly string[];
}

/** Weights and bias of a convolution or matrix product, which has one output channel a row: `[O, ...]`. */
function quantiseWeights(
  node: GraphNode,
  constants: ReadonlyMap<string, GraphConstant>,
  inputScale: number,
  bits: WeightBits,
): StoredWeights {
  const [, weightName = '', biasName] = node.inputs;
  const weight = constants.get(weightName);
  const bias = biasName === undefined ? undefined : constants.get(biasName);
  if (weight === undefined || !(weight.data instanceof Float32Array)) return unchanged(node);
  const [channels = 1] = weight.shape;
  const size = weight.data.length / channels;
  const largest = 2 ** (bits - 1) - 1;
  const values = new Int8Array(weight.data.length);
  const scales = new Float32Array(channels);
  const biases = new Int32Array(channels);
  const zeros = new Int8Array(channels);
  for (let channel = 0; channel < channels; channel += 1) {
    const row = weight.data.subarray(channel * size, (channel + 1) * size);
    const offset = Number(bias?.data[channel] ?? 0);
    const reach = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // A bias that is large compared with its weights needs a coarser scale to fit.
    const forBias = Math.abs(offset) / (inputScale * largestBias);
    const scale = Math.fround(Math.max(reach / largest, forBias, smallestScale));
    scales[channel] = scale;
    for (const [index, value] of row.entries()) {
      values[channel * size + index] = Math.max(-largest, Math.min(largest, Math.round(value / scale)));
    }
    biases[channel] = Math.round(offset / Math.fround(inputScale * scale));
  }
  const named = (part: string): string => `${node.output}_${part}`;
  const restore = (stored: string, parameters: readonly string[], output: string): GraphNode => ({
    operator: 'DequantizeLinear',
    inputs: [stored, ...parameters],
    output,
    attributes: { axis: 0 },
  });
  const weightParts: StoredWeights = {
    nodes: [
      restore(named('weight'), [named('weight_scale'), named('weight_zero')], named('weight_restored')),
    ],
    constants: [
      [named('weight'), { type: 'int8', shape: weight.shape, data: values }],
      [named('weight_scale'), { type: 'float32', shape: [channels], data: scales }],
      [named('weight_zero'), { type: 'int8', shape: [channels], data: zeros }],
    ],
    inputs: [named('weight_restored')],
  };
  if (bias === undefined) return weightParts;
  const biasScales = scales.map((scale) => Math.fround(inputScale * scale));
  return {
    nodes: [...weightParts.nodes, restore(named('bias'), [named('bias_scale')], named('bias_restored'))],
    constants: [
      ...weightParts.constants,
      [named('bias'), { type: 'int32', shape: [channels], data: biases }],
      [named('bias_scale'), { type: 'float32', shape: [channels], data: biasScales }],
    ],
    inputs: [named('weight_restored'), named('bias_restored')],
  };
}

function unchanged({ inputs }: GraphNode): StoredWeights {
  return { nodes: [], constants: [], inputs: inputs.slice(1) };
}
