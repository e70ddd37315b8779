/** Weights in float16: half the size of the file. Computation stays in float32, which every runtime can. */
import { scope, Tensor } from '@cohort-ml/torch';
import type { Graph, GraphConstant, GraphNode } from './graph.ts';
import { elementTypeCodes } from './encode.ts';

/** The largest finite float16. */
const largest = 65504;

/**
 * The graph with its weights in float16 and a conversion after each. Vectors (biases, scales) stay: they are small, and
 * matter more. So does a weight that float16 cannot hold.
 */
export function withFloat16Weights(graph: Graph): Graph {
  const constants = new Map(graph.constants);
  const casts: GraphNode[] = [];
  for (const [name, constant] of graph.constants) {
    const narrow = narrowed(constant);
    if (narrow === null) continue;
    const stored = `${name}_float16`;
    constants.delete(name);
    constants.set(stored, narrow);
    casts.push({
      operator: 'Cast',
      inputs: [stored],
      output: name,
      attributes: { to: elementTypeCodes.float32 },
    });
  }
  return { ...graph, constants, nodes: [...casts, ...graph.nodes] };
}

function narrowed({ type, shape, data }: GraphConstant): GraphConstant | null {
  const isWeight = shape.filter((size) => size > 1).length >= 2 && type === 'float32';
  if (!isWeight || !(data instanceof Float32Array)) return null;
  if (!data.every((value) => Math.abs(value) <= largest)) return null;
  const bits = scope(() => Tensor.fromTypedArray(data, shape).to('float16').toTypedArray());
  return bits instanceof Uint16Array ? { type: 'float16', shape, data: bits } : null;
}
