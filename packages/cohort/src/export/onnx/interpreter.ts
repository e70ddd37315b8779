/**
 * Runs a graph node by node on the engine's own operators: for calibration, which must see values inside, and as one more
 * check of a graph, since it goes by ONNX's definitions and not by what was traced.
 */
import { keep, noGrad, scope, Tensor } from '@cohort-ml/torch';
import { ExportError } from '../errors.ts';
import type { Graph, GraphConstant, GraphNode } from './graph.ts';
import { evaluators, type NodeInputs } from './evaluators.ts';

/** Is shown values of the graph while it runs; they are released afterwards. */
export type ValueObserver = (name: string, value: Tensor) => void;

/** A graph with its constants on the engine. */
export class GraphProgram {
  readonly #graph: Graph;
  readonly #constants: ReadonlyMap<string, Tensor>;
  /** After which node each value is not needed any more. */
  readonly #lastUse = new Map<string, number>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#constants = new Map(
      Array.from(graph.constants, ([name, constant]) => [name, keep(tensorOf(constant))]),
    );
    for (const [index, node] of graph.nodes.entries()) {
      for (const name of [...node.inputs, node.output]) this.#lastUse.set(name, index);
    }
    for (const { name } of graph.outputs) this.#lastUse.set(name, Infinity);
  }

  /**
   * @param images of the graph's input, `[B, C, H, W]`
   * @returns the outputs by name, `[B, ...]` each
   */
  run(images: Tensor, observe?: ValueObserver): Map<string, Tensor> {
    return noGrad(() =>
      scope(() => {
        const values = new Map<string, Tensor>([[this.#graph.input.name, images]]);
        observe?.(this.#graph.input.name, images);
        for (const [index, node] of this.#graph.nodes.entries()) {
          const value = this.#evaluate(node, values);
          values.set(node.output, value);
          observe?.(node.output, value);
          for (const name of node.inputs) {
            if (this.#lastUse.get(name) !== index) continue;
            // A view keeps the memory of what it looks at, so each handle may go by itself.
            if (name !== this.#graph.input.name) values.get(name)?.dispose();
            values.delete(name);
          }
        }
        return new Map(
          this.#graph.outputs.map(({ name }) => {
            const value = values.get(name);
            if (value === undefined) throw new ExportError(`The graph has no node that gives ${name}.`);
            return [name, value];
          }),
        );
      }),
    );
  }

  dispose(): void {
    for (const tensor of this.#constants.values()) tensor.dispose();
  }

  #evaluate(node: GraphNode, values: ReadonlyMap<string, Tensor>): Tensor {
    const find = (name: string): Tensor | null =>
      name === '' ? null : (values.get(name) ?? this.#constants.get(name) ?? null);
    const inputs: NodeInputs = {
      all: node.inputs.flatMap((name) => find(name) ?? []),
      optional: (position) => find(node.inputs[position] ?? ''),
      at: (position) => {
        const value = find(node.inputs[position] ?? '');
        if (value === null) {
          throw new ExportError(
            `The node ${node.output} (${node.operator}) has no input ${position}. This is a bug in Cohort's export; please report it.`,
          );
        }
        return value;
      },
    };
    return scope(() => evaluators[node.operator](inputs, node.attributes));
  }
}

function tensorOf({ type, shape, data }: GraphConstant): Tensor {
  return Tensor.fromTypedArray(data, shape, type);
}
