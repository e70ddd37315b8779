/**
 * A network as a graph of ONNX operators: what tracing builds, quantisation rewrites and the encoder writes. Every value is
 * assigned once, nodes stand in the order in which they run.
 */
import { createHash } from 'node:crypto';

/** ONNX's operators that exported graphs consist of. */
export type OperatorType =
  | 'Add'
  | 'AveragePool'
  | 'BatchNormalization'
  | 'Cast'
  | 'Clip'
  | 'Concat'
  | 'Conv'
  | 'ConvTranspose'
  | 'DequantizeLinear'
  | 'Div'
  | 'Equal'
  | 'Exp'
  | 'Flatten'
  | 'Floor'
  | 'Gather'
  | 'Gemm'
  | 'GlobalAveragePool'
  | 'GreaterOrEqual'
  | 'HardSigmoid'
  | 'HardSwish'
  | 'Identity'
  | 'InstanceNormalization'
  | 'Log'
  | 'MatMul'
  | 'Max'
  | 'MaxPool'
  | 'Min'
  | 'Mul'
  | 'NonMaxSuppression'
  | 'QuantizeLinear'
  | 'ReduceMean'
  | 'ReduceMin'
  | 'ReduceSum'
  | 'Relu'
  | 'Reshape'
  | 'Resize'
  | 'RoiAlign'
  | 'Shape'
  | 'Sigmoid'
  | 'Slice'
  | 'Softmax'
  | 'Sqrt'
  | 'Squeeze'
  | 'Sub'
  | 'Tanh'
  | 'TopK'
  | 'Transpose'
  | 'Unsqueeze'
  | 'Where';

/** Values of an attribute: whole numbers unless marked as `float` or `text`. */
export type Attribute = number | readonly number[] | { readonly float: number } | { readonly text: string };

/** One operator at work. */
export interface GraphNode {
  readonly operator: OperatorType;
  /** Names of values; an empty one stands for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly output: string;
  /** Second result, of TopK. */
  readonly second?: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Element types of constants; `float16` is raw bits. */
export type ElementType = 'float32' | 'float16' | 'int8' | 'uint8' | 'int32' | 'int64';

/** A tensor that is the same in every run, row by row. */
export interface GraphConstant {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint16Array | Int8Array | Uint8Array | Int32Array | BigInt64Array;
}

/** A float32 input or output; the first dimension of every one is the batch, of any size, unless another is given. */
export interface GraphValue {
  readonly name: string;
  /** Without the first dimension. */
  readonly shape: readonly number[];
  /** What the first dimension is called, or its size; `batch` unless given. */
  readonly first?: string | number;
}

/** A whole graph. */
export interface Graph {
  /** The images. */
  readonly input: GraphValue;
  /** Inputs besides the images. */
  readonly otherInputs?: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, GraphConstant>;
}

/** Puts a graph together. Equal nodes on equal inputs and equal constants come once: networks that share layers share nodes. */
export class GraphBuilder {
  readonly #nodes: GraphNode[] = [];
  readonly #constants = new Map<string, GraphConstant>();
  readonly #nodeByKey = new Map<string, string>();
  readonly #constantByDigest = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** Adds a node, unless there is an equal one. @returns the name of its output */
  add(
    operator: OperatorType,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    const key = JSON.stringify([operator, inputs, attributes]);
    const existing = this.#nodeByKey.get(key);
    if (existing !== undefined) return existing;
    const output = this.#freshName(operator.toLowerCase());
    this.#nodes.push({ operator, inputs, output, attributes });
    this.#nodeByKey.set(key, output);
    return output;
  }

  /** Adds a constant, unless there is an equal one. @param hint what its name begins with @returns its name */
  constant(constant: GraphConstant, hint = 'constant'): string {
    const { type, shape, data } = constant;
    const digest = createHash('sha256')
      .update(`${type} ${shape.join()} `)
      .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      .digest('hex');
    const existing = this.#constantByDigest.get(digest);
    if (existing !== undefined) return existing;
    const name = this.#freshName(hint);
    this.#constants.set(name, constant);
    this.#constantByDigest.set(digest, name);
    return name;
  }

  /** A constant of whole numbers: sizes, axes. */
  whole(values: readonly number[]): string {
    return this.constant({
      type: 'int64',
      shape: [values.length],
      data: BigInt64Array.from(values, BigInt),
    });
  }

  /** A single float32. */
  scalar(value: number): string {
    return this.constant({ type: 'float32', shape: [], data: Float32Array.of(value) });
  }

  /** Whether a value is a constant. */
  isConstant(name: string): boolean {
    return this.#constants.has(name);
  }

  /**
   * The graph whose outputs are these values under new names; what none of them depends on is left out.
   *
   * @param outputs the new name and the value of each, all different names
   */
  finish(
    input: GraphValue,
    outputs: readonly { readonly name: string; readonly value: string; readonly shape: readonly number[] }[],
  ): Graph {
    const renamed = new Map<string, string>();
    const copies: GraphNode[] = [];
    for (const { name, value } of outputs) {
      const isTaken = renamed.has(value) || value === input.name || this.isConstant(value);
      if (isTaken) {
        const source = renamed.get(value) ?? value;
        copies.push({ operator: 'Identity', inputs: [source], output: name, attributes: {} });
      } else renamed.set(value, name);
    }
    const rename = (name: string): string => renamed.get(name) ?? name;
    const nodes = [
      ...this.#nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map(rename),
        output: rename(node.output),
      })),
      ...copies,
    ];
    const shapes = outputs.map(({ name, shape }) => ({ name, shape }));
    return withoutUnused({ input, outputs: shapes, nodes, constants: this.#constants });
  }

  #freshName(hint: string): string {
    const count = (this.#counts.get(hint) ?? 0) + 1;
    this.#counts.set(hint, count);
    return `${hint}_${count}`;
  }
}

/** The graph without nodes and constants that no output depends on. */
export function withoutUnused(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(({ name }) => name));
  const nodes: GraphNode[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!needed.has(node.output)) continue;
    nodes.push(node);
    for (const name of node.inputs) needed.add(name);
  }
  const constants = new Map([...graph.constants].filter(([name]) => needed.has(name)));
  return { ...graph, nodes: nodes.reverse(), constants };
}

/** Operators that a graph uses, sorted. */
export function operatorsOf(graph: Graph): OperatorType[] {
  return [...new Set(graph.nodes.map(({ operator }) => operator))].sort();
}
