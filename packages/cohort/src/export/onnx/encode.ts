/**
 * Writes a graph as an ONNX file (onnx.proto3 of ONNX 1.12: IR version 8, operator set 17), the newest that Debian's
 * checker knows; field numbers are those of https://github.com/onnx/onnx/blob/v1.12.0/onnx/onnx.proto.
 */
import { ProtobufMessage } from '@cohort-ml/runs';
import type { Attribute, ElementType, Graph, GraphConstant, GraphNode, GraphValue } from './graph.ts';

/** Version of ONNX's operators that exported graphs use. */
export const opset = 17;

const irVersion = 8;

const MODEL = {
  irVersion: 1,
  producerName: 2,
  producerVersion: 3,
  documentation: 6,
  graph: 7,
  opsetImport: 8,
  metadata: 14,
} as const;
const OPSET = { version: 2 } as const;
const ENTRY = { key: 1, value: 2 } as const;
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 } as const;
const NODE = { input: 1, output: 2, name: 3, operator: 4, attribute: 5 } as const;
const ATTRIBUTE = { name: 1, float: 2, whole: 3, text: 4, wholes: 8, type: 20 } as const;
const TENSOR = { dimension: 1, type: 2, name: 8, raw: 9 } as const;
const VALUE = { name: 1, type: 2 } as const;
const TYPE = { tensor: 1 } as const;
const TENSOR_TYPE = { element: 1, shape: 2 } as const;
const SHAPE = { dimension: 1 } as const;
const DIMENSION = { value: 1, parameter: 2 } as const;

const attributeTypes = { float: 1, whole: 2, text: 3, wholes: 7 } as const;

/** ONNX's numbers of element types (TensorProto.DataType). */
export const elementTypeCodes: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  float16: 10,
};

/** What a file holds besides its graph. */
export interface ModelDescription {
  readonly producerVersion: string;
  /** One sentence for people. */
  readonly documentation: string;
  /** For programs, by key. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The bytes of an `.onnx` file. */
export function encodeModel(graph: Graph, description: ModelDescription): Uint8Array {
  const model = new ProtobufMessage()
    .whole(MODEL.irVersion, irVersion)
    .text(MODEL.producerName, 'cohort')
    .text(MODEL.producerVersion, description.producerVersion)
    .text(MODEL.documentation, description.documentation)
    .message(MODEL.graph, encodeGraph(graph))
    .message(MODEL.opsetImport, new ProtobufMessage().whole(OPSET.version, opset));
  for (const [key, value] of Object.entries(description.metadata)) {
    model.message(MODEL.metadata, new ProtobufMessage().text(ENTRY.key, key).text(ENTRY.value, value));
  }
  return model.bytes();
}

function encodeGraph({ input, otherInputs = [], outputs, nodes, constants }: Graph): ProtobufMessage {
  const message = new ProtobufMessage();
  for (const node of nodes) message.message(GRAPH.node, encodeNode(node));
  message.text(GRAPH.name, 'cohort');
  for (const [name, constant] of constants) {
    message.message(GRAPH.initializer, encodeConstant(name, constant));
  }
  for (const each of [input, ...otherInputs]) message.message(GRAPH.input, encodeValue(each));
  for (const output of outputs) message.message(GRAPH.output, encodeValue(output));
  return message;
}

function encodeNode({ operator, inputs, output, second, attributes }: GraphNode): ProtobufMessage {
  const message = new ProtobufMessage();
  for (const name of inputs) message.text(NODE.input, name);
  message.text(NODE.output, output);
  if (second !== undefined) message.text(NODE.output, second);
  message.text(NODE.name, output).text(NODE.operator, operator);
  for (const [name, value] of Object.entries(attributes)) {
    message.message(NODE.attribute, encodeAttribute(name, value));
  }
  return message;
}

function encodeAttribute(name: string, value: Attribute): ProtobufMessage {
  const message = new ProtobufMessage().text(ATTRIBUTE.name, name);
  if (typeof value === 'number') {
    return message.whole(ATTRIBUTE.whole, value).whole(ATTRIBUTE.type, attributeTypes.whole);
  }
  if ('float' in value) {
    return message.float(ATTRIBUTE.float, value.float).whole(ATTRIBUTE.type, attributeTypes.float);
  }
  if ('text' in value) {
    return message.text(ATTRIBUTE.text, value.text).whole(ATTRIBUTE.type, attributeTypes.text);
  }
  for (const item of value) message.whole(ATTRIBUTE.wholes, item);
  return message.whole(ATTRIBUTE.type, attributeTypes.wholes);
}

/** Numbers lie in little endian, as in the memory of every processor that Node runs on today. */
function encodeConstant(name: string, { type, shape, data }: GraphConstant): ProtobufMessage {
  const message = new ProtobufMessage();
  for (const size of shape) message.whole(TENSOR.dimension, size);
  return message
    .whole(TENSOR.type, elementTypeCodes[type])
    .text(TENSOR.name, name)
    .raw(TENSOR.raw, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function encodeValue({ name, shape, first = 'batch' }: GraphValue): ProtobufMessage {
  const dimensions = new ProtobufMessage().message(
    SHAPE.dimension,
    typeof first === 'number'
      ? new ProtobufMessage().whole(DIMENSION.value, first)
      : new ProtobufMessage().text(DIMENSION.parameter, first),
  );
  for (const size of shape) {
    dimensions.message(SHAPE.dimension, new ProtobufMessage().whole(DIMENSION.value, size));
  }
  const tensor = new ProtobufMessage()
    .whole(TENSOR_TYPE.element, elementTypeCodes.float32)
    .message(TENSOR_TYPE.shape, dimensions);
  return new ProtobufMessage()
    .text(VALUE.name, name)
    .message(VALUE.type, new ProtobufMessage().message(TYPE.tensor, tensor));
}
