/** The part of ONNX's `ModelProto` (onnx.proto, IR version 8) that inference needs. */
import { ModelFileError, UnsupportedOperatorError } from '../errors.ts';
import { elementType, fromBytes, sizeOf, type NdArray } from './array.ts';
import { MessageReader } from './protobuf.ts';

/** Value of a node's attribute. */
export type Attribute = number | string | readonly number[] | NdArray;

/** One operator call. Empty names stand for inputs that are left out. */
export interface GraphNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** An input or output; a size is a name where it is free. */
export interface GraphValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

/** A model file in memory. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, NdArray>;
  readonly input: GraphValue;
  /** Inputs besides the first, which only parts of a graph do without. */
  readonly otherInputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

/** Tensors above this size are damage, not weights. */
const mostValues = 2 ** 30;

/** Newest version of ONNX's operators that is understood, and the oldest. */
const newestOpset = 17;
const oldestOpset = 13;

/**
 * Reads a model file.
 *
 * @throws {ModelFileError} where the bytes are no ONNX model, or a damaged one
 * @throws {UnsupportedOperatorError} for another version or unread types
 */
export function readModel(bytes: Uint8Array): Graph {
  const reader = new MessageReader(bytes);
  let graph: Graph | undefined;
  let opset = 0;
  while (reader.next()) {
    if (reader.field === 7) graph = readGraph(reader.message());
    else if (reader.field === 8) opset = Math.max(opset, readOpset(reader.message()));
    else reader.skip();
  }
  if (graph === undefined) {
    throw new ModelFileError('This is no ONNX model: it holds no graph. Give the path of a .onnx file.');
  }
  if (opset < oldestOpset || opset > newestOpset) {
    throw new ModelFileError(
      `The model uses version ${opset} of ONNX's operators; versions ${oldestOpset} to ${newestOpset} are read. Export it again.`,
    );
  }
  return graph;
}

function readOpset(reader: MessageReader): number {
  let domain = '';
  let version = 0;
  while (reader.next()) {
    if (reader.field === 1) domain = reader.text();
    else if (reader.field === 2) version = reader.integer();
    else reader.skip();
  }
  return domain === '' || domain === 'ai.onnx' ? version : 0;
}

function readGraph(reader: MessageReader): Graph {
  const nodes: GraphNode[] = [];
  const constants = new Map<string, NdArray>();
  const inputs: GraphValue[] = [];
  const outputs: GraphValue[] = [];
  while (reader.next()) {
    if (reader.field === 1) nodes.push(readNode(reader.message()));
    else if (reader.field === 5) {
      const { name, array } = readTensor(reader.message());
      constants.set(name, array);
    } else if (reader.field === 11) inputs.push(readValue(reader.message()));
    else if (reader.field === 12) outputs.push(readValue(reader.message()));
    else reader.skip();
  }
  const free = inputs.filter(({ name }) => !constants.has(name));
  const [input, ...otherInputs] = free;
  if (input === undefined || outputs.length === 0) {
    throw new ModelFileError('The model has no input or no output. Copy or export it again.');
  }
  return { nodes, constants, input, otherInputs, outputs };
}

function readNode(reader: MessageReader): GraphNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, Attribute>();
  let operator = '';
  let domain = '';
  while (reader.next()) {
    if (reader.field === 1) inputs.push(reader.text());
    else if (reader.field === 2) outputs.push(reader.text());
    else if (reader.field === 4) operator = reader.text();
    else if (reader.field === 5) readAttribute(reader.message(), attributes);
    else if (reader.field === 7) domain = reader.text();
    else reader.skip();
  }
  if (domain !== '' && domain !== 'ai.onnx') operator = `${domain}.${operator}`;
  return { operator, inputs, outputs, attributes };
}

function readAttribute(reader: MessageReader, into: Map<string, Attribute>): void {
  let name = '';
  let value: Attribute | undefined;
  const integers: number[] = [];
  const floats: number[] = [];
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) value = reader.float();
    else if (reader.field === 3) value = reader.integer();
    else if (reader.field === 4) value = reader.text();
    else if (reader.field === 5) value = readTensor(reader.message()).array;
    else if (reader.field === 7) reader.floats(floats);
    else if (reader.field === 8) reader.integers(integers);
    else reader.skip();
  }
  into.set(name, value ?? (floats.length > 0 ? floats : integers));
}

function readTensor(reader: MessageReader): { name: string; array: NdArray } {
  const shape: number[] = [];
  const floats: number[] = [];
  const integers: number[] = [];
  let type = 0;
  let name = '';
  let raw: Uint8Array | undefined;
  while (reader.next()) {
    if (reader.field === 1) reader.integers(shape);
    else if (reader.field === 2) type = reader.integer();
    else if (reader.field === 4) reader.floats(floats);
    else if (reader.field === 5 || reader.field === 7) reader.integers(integers);
    else if (reader.field === 8) name = reader.text();
    else if (reader.field === 9) raw = reader.bytes();
    else if (reader.field === 13 || reader.field === 14) {
      throw new ModelFileError('The weights lie outside the model file. Export them into one file.');
    } else reader.skip();
  }
  if (shape.some((size) => size < 0) || sizeOf(shape) > mostValues) {
    throw new ModelFileError(
      `The tensor ${name} has the impossible shape [${shape.join(', ')}]. The file is damaged: copy or export it again.`,
    );
  }
  const kind = elementType(type);
  if (raw !== undefined) return { name, array: fromBytes(kind, shape, raw) };
  const count = sizeOf(shape);
  const values = kind === 'float32' ? floats : integers;
  if (values.length !== count) {
    throw new ModelFileError(
      `The tensor ${name} holds ${values.length} values in place of ${count}. The file is damaged: copy or export it again.`,
    );
  }
  if (kind === 'float32') return { name, array: { shape, data: Float32Array.from(values) } };
  if (kind === 'int8') return { name, array: { shape, data: Int8Array.from(values) } };
  if (kind === 'uint8' || kind === 'bool') return { name, array: { shape, data: Uint8Array.from(values) } };
  if (kind === 'int32') return { name, array: { shape, data: Int32Array.from(values) } };
  if (kind === 'int64') return { name, array: { shape, data: Float64Array.from(values) } };
  throw new UnsupportedOperatorError(`Tensor of ${kind} without raw data`);
}

/** `ValueInfoProto`: name, and the sizes from `type.tensor_type.shape`. */
function readValue(reader: MessageReader): GraphValue {
  let name = '';
  const shape: (number | string)[] = [];
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2)
      inner(reader.message(), 1, (tensor) => {
        inner(tensor, 2, (dimensions) => {
          inner(dimensions, 1, (dimension) => shape.push(readDimension(dimension)));
        });
      });
    else reader.skip();
  }
  return { name, shape };
}

function inner(reader: MessageReader, field: number, use: (message: MessageReader) => void): void {
  while (reader.next()) {
    if (reader.field === field) use(reader.message());
    else reader.skip();
  }
}

function readDimension(reader: MessageReader): number | string {
  let size: number | string = '';
  while (reader.next()) {
    if (reader.field === 1) size = reader.integer();
    else if (reader.field === 2) size = reader.text();
    else reader.skip();
  }
  return size;
}
