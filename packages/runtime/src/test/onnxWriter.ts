/** Writes small ONNX files for tests: just enough of protocol buffers. */

/** A tensor with raw data. */
export interface WrittenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int8Array | Uint8Array | Int32Array | BigInt64Array | Uint16Array;
}

/** Attributes: integers, lists of integers, floats (as `{ float }`) and texts. */
type Attributes = Readonly<Record<string, number | readonly number[] | string | { readonly float: number }>>;

interface WrittenNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

const encoder = new TextEncoder();

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

type Part = Uint8Array | readonly number[];

function join(parts: readonly Part[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const integerField = (field: number, value: number): Uint8Array => join([varint(field << 3), varint(value)]);

function bytesField(field: number, content: Part | string): Uint8Array {
  const bytes = typeof content === 'string' ? encoder.encode(content) : content;
  return join([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function onnxType(data: WrittenTensor['data']): number {
  if (data instanceof Float32Array) return 1;
  if (data instanceof Uint8Array) return 2;
  if (data instanceof Int8Array) return 3;
  if (data instanceof Int32Array) return 6;
  if (data instanceof Uint16Array) return 10;
  return 7;
}

function tensor(name: string, { shape, data }: WrittenTensor): Uint8Array {
  return join([
    ...shape.map((size) => integerField(1, size)),
    integerField(2, onnxType(data)),
    bytesField(8, name),
    bytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ]);
}

function attribute(name: string, value: Attributes[string]): Uint8Array {
  const head = bytesField(1, name);
  if (typeof value === 'number') return join([head, integerField(3, value), integerField(20, 2)]);
  if (typeof value === 'string') return join([head, bytesField(4, value), integerField(20, 3)]);
  if ('float' in value) {
    const bytes = new Uint8Array(Float32Array.of(value.float).buffer);
    return join([head, varint((2 << 3) | 5), bytes, integerField(20, 1)]);
  }
  return join([head, ...value.map((item) => integerField(8, item)), integerField(20, 7)]);
}

function valueInfo(name: string, shape: readonly (number | string)[] | null): Uint8Array {
  const sizes = (shape ?? []).map((size) =>
    bytesField(1, typeof size === 'number' ? integerField(1, size) : bytesField(2, size)),
  );
  const shapeField = shape === null ? [] : [bytesField(2, join(sizes))];
  return join([bytesField(1, name), bytesField(2, bytesField(1, join([integerField(1, 1), ...shapeField])))]);
}

/** Builds a graph with the input `x`, node by node. */
export class OnnxWriter {
  readonly #nodes: WrittenNode[] = [];
  readonly #tensors = new Map<string, WrittenTensor>();
  readonly inputShape: readonly (number | string)[];

  /** @param inputShape of one image, without the batch */
  constructor(inputShape: readonly (number | string)[]) {
    this.inputShape = inputShape;
  }

  /** Adds a constant and returns its name. */
  constant(data: WrittenTensor['data'], shape: readonly number[] = [data.length]): string {
    const name = `c${this.#tensors.size}`;
    this.#tensors.set(name, { shape, data });
    return name;
  }

  integers(...values: number[]): string {
    return this.constant(BigInt64Array.from(values, BigInt));
  }

  /** Adds a node and returns the name of its first output. */
  node(
    operator: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    outputs = 1,
    given: readonly string[] = [],
  ): string {
    const names = Array.from(
      { length: outputs },
      (_, index) => given[index] ?? `n${this.#nodes.length}_${index}`,
    );
    this.#nodes.push({ operator, inputs, outputs: names, attributes });
    return names[0] ?? '';
  }

  /** The file. @param outputs names of values to give */
  file(outputs: readonly string[], opset = 17): Uint8Array {
    const graph = join([
      ...this.#nodes.map(({ operator, inputs, outputs: names, attributes }) =>
        bytesField(
          1,
          join([
            ...inputs.map((name) => bytesField(1, name)),
            ...names.map((name) => bytesField(2, name)),
            bytesField(4, operator),
            ...Object.entries(attributes).map(([name, value]) => bytesField(5, attribute(name, value))),
          ]),
        ),
      ),
      bytesField(2, 'test'),
      ...[...this.#tensors].map(([name, value]) => bytesField(5, tensor(name, value))),
      bytesField(11, valueInfo('x', ['batch', ...this.inputShape])),
      ...outputs.map((name) => bytesField(12, valueInfo(name, null))),
    ]);
    return join([integerField(1, 8), bytesField(7, graph), bytesField(8, integerField(2, opset))]);
  }
}

/** Values between -1 and 1 that are the same at every run. */
export function randomValues(count: number, seed: number): Float32Array {
  let state = seed * 2_654_435_761 + 12_345;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}
