/**
 * Which values of a graph are stored in 8 bits: what convolutions, matrix products, additions, concatenations and pooling
 * take and give. What lies between, attention and gates, stays in floating point.
 */
import type { Graph, GraphNode, OperatorType } from '../onnx/graph.ts';

/** Operators that runtimes have kernels for in 8 bits; each of their inputs has a scale of its own. */
const computing: ReadonlySet<OperatorType> = new Set([
  'Conv',
  'Gemm',
  'Add',
  'Concat',
  'AveragePool',
  'GlobalAveragePool',
]);

/** Operators that move values or choose among them: what they give has the scale of what they take. */
const moving: ReadonlySet<OperatorType> = new Set([
  'Flatten',
  'Identity',
  'MaxPool',
  'Reshape',
  'Slice',
  'Unsqueeze',
]);

/** Activations that runtimes do together with the operator before them. */
const rectifying: ReadonlySet<OperatorType> = new Set(['Relu', 'Clip']);

/** Values to quantise. */
export interface QuantisationPlan {
  /** For every value to quantise, the value whose range it has: itself, or what it was moved from. */
  readonly rangeOf: ReadonlyMap<string, string>;
  /** Nodes whose weights are quantised. */
  readonly weighted: readonly GraphNode[];
}

/** Decides. Normalisation of the input stays in floating point: its products with the pixels have no rounding to lose. */
export function planQuantisation(graph: Graph): QuantisationPlan {
  const producer = new Map(graph.nodes.map((node) => [node.output, node]));
  const consumers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const name of node.inputs) consumers.set(name, [...(consumers.get(name) ?? []), node]);
  }
  const isActivation = (name: string): boolean => producer.has(name);
  const wanted = new Set<string>();
  for (const node of graph.nodes) {
    // Additions of constants are the input's normalisation.
    const activations = node.inputs.filter(isActivation);
    if (!computing.has(node.operator) || (node.operator === 'Add' && activations.length < 2)) continue;
    for (const name of activations) wanted.add(name);
  }
  // A moved value that is wanted needs its source in 8 bits: from the end to the beginning, so that chains are followed.
  for (const node of graph.nodes.toReversed()) {
    const [source] = node.inputs;
    if (!moving.has(node.operator) || source === undefined || !isActivation(source)) continue;
    if (wanted.has(node.output)) wanted.add(source);
  }
  const rangeOf = new Map<string, string>();
  for (const node of graph.nodes) {
    const { output, operator, inputs } = node;
    const [source] = inputs;
    const sourceRange = moving.has(operator) && source !== undefined ? rangeOf.get(source) : undefined;
    if (sourceRange !== undefined) rangeOf.set(output, sourceRange);
    else if (wanted.has(output) && !isFused(node, consumers.get(output) ?? [])) rangeOf.set(output, output);
  }
  const weighted = graph.nodes.filter(
    ({ operator, inputs: [input = '', weight = ''] }) =>
      (operator === 'Conv' || operator === 'Gemm') && rangeOf.has(input) && graph.constants.has(weight),
  );
  return { rangeOf, weighted };
}

/** Whether the value only lies between an operator and the activation that is done with it. */
function isFused(node: GraphNode, consumers: readonly GraphNode[]): boolean {
  return (
    computing.has(node.operator) &&
    consumers.length === 1 &&
    consumers.every(({ operator }) => rectifying.has(operator))
  );
}
