/** Turns a graph and the shape of its input into kernel calls, one node after the other. */
import { ModelFileError, UnsupportedOperatorError } from '../errors.ts';
import type { Graph, GraphNode } from '../onnx/model.ts';
import type { Kernels } from '../wasm/kernels.ts';
import { Layouts } from './layouts.ts';
import type { Step } from './step.ts';
import type { Tensor } from './tensor.ts';
import { constantOf, type Value } from './value.ts';
import type { WeightStore } from './weights.ts';

/** Lowers one node; it may absorb nodes that follow. */
export type Lower = (node: GraphNode, lowering: Lowering) => void;

export class Lowering {
  readonly kernels: Kernels;
  readonly weights: WeightStore;
  readonly steps: Step[] = [];
  readonly layouts: Layouts;
  readonly #values = new Map<string, Value>();
  readonly #consumers = new Map<string, GraphNode[]>();
  readonly #kept: ReadonlySet<string>;
  readonly #done = new Set<GraphNode>();

  constructor(graph: Graph, kernels: Kernels, weights: WeightStore) {
    this.kernels = kernels;
    this.weights = weights;
    this.layouts = new Layouts(kernels, weights, this.steps);
    this.#kept = new Set(graph.outputs.map(({ name }) => name));
    for (const [name, constant] of graph.constants) {
      this.#values.set(name, { shape: constant.shape, constant });
    }
    checkOrder(graph);
    for (const node of graph.nodes) {
      for (const input of node.inputs) {
        const others = this.#consumers.get(input);
        if (others) others.push(node);
        else this.#consumers.set(input, [node]);
      }
    }
  }

  isDone(node: GraphNode): boolean {
    return this.#done.has(node);
  }

  /** Marks a node as computed by an earlier one. */
  absorb(node: GraphNode): void {
    this.#done.add(node);
  }

  /** @throws {ModelFileError} where no earlier node makes the value */
  value(name: string | undefined): Value {
    const value = name === undefined ? undefined : this.#values.get(name);
    if (value === undefined) throw notComputed(name ?? '(none)');
    return value;
  }

  /** An input that may be left out. */
  optional(name: string | undefined): Value | null {
    return name === undefined || name === '' ? null : this.value(name);
  }

  isKnown(name: string): boolean {
    return this.#values.has(name);
  }

  define(name: string | undefined, value: Value): void {
    if (name !== undefined && name !== '') this.#values.set(name, value);
  }

  defineTensor(name: string | undefined, tensor: Tensor, shape: readonly number[] = tensor.shape): void {
    this.define(name, { shape, tensor });
  }

  /** The one node that uses a value, or null where there are several or it is an output of the graph. */
  onlyConsumer(name: string | undefined): GraphNode | null {
    if (name === undefined || this.#kept.has(name)) return null;
    const consumers = this.#consumers.get(name);
    return consumers?.length === 1 ? (consumers[0] ?? null) : null;
  }

  /** Whether a value is quantised by the one node that uses it, perhaps after ReLU or Clip. */
  isQuantisedLater(name: string | undefined): boolean {
    let node = this.onlyConsumer(name);
    while (node?.operator === 'Relu' || node?.operator === 'Clip') node = this.onlyConsumer(node.outputs[0]);
    return node?.operator === 'QuantizeLinear';
  }

  isQuantisedAfter(node: GraphNode): boolean {
    return this.isQuantisedLater(node.outputs[0]);
  }

  /** Constant values that a node must have. @throws {UnsupportedOperatorError} where they are computed */
  numbers(node: GraphNode, index: number): number[] | null {
    const value = this.optional(node.inputs[index]);
    if (value === null) return null;
    const constant = constantOf(value);
    if (constant === null) {
      throw new UnsupportedOperatorError(node.operator, `with a computed input ${index} is not supported`);
    }
    return Array.from(constant.data);
  }

  emit(step: Step): void {
    this.steps.push(step);
  }
}

function notComputed(name: string): ModelFileError {
  return new ModelFileError(
    `The graph uses the value ${name} before it is computed. The file is damaged: copy or export it again.`,
  );
}

/** Every value is computed once and before it is used: without this, looking ahead might never end. */
function checkOrder({ nodes, constants, input }: Graph): void {
  const known = new Set([input.name, ...constants.keys()]);
  for (const node of nodes) {
    for (const name of node.inputs) {
      if (name !== '' && !known.has(name)) throw notComputed(name);
    }
    for (const name of node.outputs) {
      if (known.has(name)) {
        throw new ModelFileError(
          `The graph computes the value ${name} twice. The file is damaged: copy or export it again.`,
        );
      }
      if (name !== '') known.add(name);
    }
  }
}
