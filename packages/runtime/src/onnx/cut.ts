/** A part of a graph as a graph of its own. */
import { ModelFileError } from '../errors.ts';
import type { Graph, GraphNode, GraphValue } from './model.ts';

/**
 * What leads from one value to others.
 *
 * @param input the value, with the shape that it gets
 * @param outputs names of values
 * @throws {ModelFileError} where an output is not computed, or depends on more than the input
 */
export function cutGraph({ nodes, constants }: Graph, input: GraphValue, outputs: readonly string[]): Graph {
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const needed = new Set<GraphNode>();
  const used = new Set<string>();
  const open = [...outputs];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === '' || name === input.name || used.has(name)) continue;
    used.add(name);
    if (constants.has(name)) continue;
    const node = makers.get(name);
    if (node === undefined) {
      throw new ModelFileError(
        `The model has no value ${name} that depends on ${input.name} alone. Export the folder again.`,
      );
    }
    needed.add(node);
    open.push(...node.inputs);
  }
  return {
    nodes: nodes.filter((node) => needed.has(node)),
    constants: new Map([...constants].filter(([name]) => used.has(name))),
    input,
    outputs: outputs.map((name) => ({ name, shape: [] })),
    otherInputs: [],
  };
}
