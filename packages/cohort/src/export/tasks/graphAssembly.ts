/** Joins traced graphs by nodes that are written by hand, where a network chooses what it computes. */
import type { Attribute, Graph, GraphConstant, GraphNode, GraphValue, OperatorType } from '../onnx/graph.ts';

export class GraphAssembly {
  readonly #input: GraphValue;
  readonly #otherInputs: readonly GraphValue[];
  readonly #nodes: GraphNode[] = [];
  readonly #constants = new Map<string, GraphConstant>();
  readonly #outputs: GraphValue[] = [];

  constructor(input: GraphValue, otherInputs: readonly GraphValue[] = []) {
    this.#input = input;
    this.#otherInputs = otherInputs;
  }

  /** Takes in a traced graph; its outputs are then called `PREFIX/NAME`. @param input value that takes the place of its input */
  join(graph: Graph, prefix: string, input: string): void {
    const rename = (name: string): string =>
      name === '' ? '' : name === graph.input.name ? input : `${prefix}/${name}`;
    for (const [name, constant] of graph.constants) this.#constants.set(rename(name), constant);
    for (const node of graph.nodes) {
      this.#nodes.push({ ...node, inputs: node.inputs.map(rename), output: rename(node.output) });
    }
  }

  /** Adds a node. @returns the name of its result */
  add(
    operator: OperatorType,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    const output = `${operator.toLowerCase()}_${this.#nodes.length}`;
    this.#nodes.push({ operator, inputs, output, attributes });
    return output;
  }

  /** The largest values along an axis, sorted, and their places. */
  topK(values: string, count: string, axis: number): [values: string, places: string] {
    const output = `topk_${this.#nodes.length}`;
    const second = `${output}_places`;
    const attributes = { axis, largest: 1, sorted: 1 };
    this.#nodes.push({ operator: 'TopK', inputs: [values, count], output, second, attributes });
    return [output, second];
  }

  /** How many values there are, or `most` if there are more: `[1]`. */
  atMost(values: string, most: number): string {
    return this.add('Min', [this.add('Shape', [values]), this.wholes([most])]);
  }

  /** The value under a name that people and programs find it by. */
  named(value: string, name: string): string {
    this.#nodes.push({ operator: 'Identity', inputs: [value], output: name, attributes: {} });
    return name;
  }

  slice(value: string, axis: number, start: number, end: number): string {
    return this.add('Slice', [value, ...[start, end, axis].map((each) => this.wholes([each]))]);
  }

  squeeze(value: string, axis: number): string {
    return this.add('Squeeze', [value, this.wholes([axis])]);
  }

  /** A column of a matrix: `[N, C] -> [N]`. */
  column(matrix: string, index: number): string {
    return this.squeeze(this.slice(matrix, 1, index, index + 1), 1);
  }

  wholes(values: readonly number[]): string {
    return this.#constant(`wholes_${values.join('_')}`, {
      type: 'int64',
      shape: [values.length],
      data: BigInt64Array.from(values, BigInt),
    });
  }

  floats(values: readonly number[], shape: readonly number[]): string {
    return this.#constant(`floats_${values.join('_')}_of_${shape.join('_')}`, {
      type: 'float32',
      shape,
      data: Float32Array.from(values),
    });
  }

  /** Declares a result whose first dimension is the number of objects. */
  output(name: string, value: string, shape: readonly number[]): void {
    this.#outputs.push({ name: this.named(value, name), shape, first: 'objects' });
  }

  finish(): Graph {
    return {
      input: this.#input,
      otherInputs: this.#otherInputs,
      outputs: this.#outputs,
      nodes: this.#nodes,
      constants: this.#constants,
    };
  }

  #constant(name: string, constant: GraphConstant): string {
    this.#constants.set(name, constant);
    return name;
  }
}
