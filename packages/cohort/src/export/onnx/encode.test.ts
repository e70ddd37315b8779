/** Files are read back by protobufjs with the names and numbers of ONNX's own onnx.proto. */
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { encodeModel } from './encode.ts';
import { GraphBuilder } from './graph.ts';

const { root } = protobuf.parse(
  `
  syntax = "proto2"; package onnx;
  message AttributeProto { optional string name = 1; optional float f = 2; optional int64 i = 3; optional bytes s = 4; repeated float floats = 7; repeated int64 ints = 8; optional int32 type = 20; }
  message ValueInfoProto { optional string name = 1; optional TypeProto type = 2; }
  message NodeProto { repeated string input = 1; repeated string output = 2; optional string name = 3; optional string op_type = 4; repeated AttributeProto attribute = 5; optional string domain = 7; }
  message StringStringEntryProto { optional string key = 1; optional string value = 2; }
  message ModelProto { optional int64 ir_version = 1; optional string producer_name = 2; optional string producer_version = 3; optional string doc_string = 6; optional GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8; repeated StringStringEntryProto metadata_props = 14; }
  message GraphProto { repeated NodeProto node = 1; optional string name = 2; repeated TensorProto initializer = 5; repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12; }
  message TensorProto { repeated int64 dims = 1; optional int32 data_type = 2; optional string name = 8; optional bytes raw_data = 9; }
  message TensorShapeProto { message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } } repeated Dimension dim = 1; }
  message TypeProto { message Tensor { optional int32 elem_type = 1; optional TensorShapeProto shape = 2; } oneof value { Tensor tensor_type = 1; } }
  message OperatorSetIdProto { optional string domain = 1; optional int64 version = 2; }
`,
  { keepCase: true },
);
const Model = root.lookupType('onnx.ModelProto');

test('a graph comes back with every node, attribute, weight, size and label', () => {
  const builder = new GraphBuilder();
  const weight = builder.constant({
    type: 'float32',
    shape: [2, 1, 1, 1],
    data: Float32Array.of(1.5, -2),
  });
  const convolved = builder.add('Conv', ['pixel_values', weight], { kernel_shape: [1, 1], group: 1 });
  const clipped = builder.add('Clip', [convolved, '', builder.scalar(6)]);
  const normalised = builder.add('Softmax', [clipped], { axis: -1 });
  const graph = builder.finish({ name: 'pixel_values', shape: [1, 4, 5] }, [
    { name: 'logits', value: normalised, shape: [2, 4, 5] },
  ]);
  const bytes = encodeModel(graph, {
    producerVersion: '1.2.3',
    documentation: 'Größe',
    metadata: { labels: '["猫"]' },
  });

  const read = Model.toObject(Model.decode(bytes), { longs: Number, bytes: Buffer });

  expect(read).toMatchObject({
    ir_version: 8,
    producer_name: 'cohort',
    producer_version: '1.2.3',
    doc_string: 'Größe',
    opset_import: [{ version: 17 }],
    metadata_props: [{ key: 'labels', value: '["猫"]' }],
    graph: {
      name: 'cohort',
      node: [
        {
          op_type: 'Conv',
          input: ['pixel_values', 'constant_1'],
          attribute: [
            { name: 'kernel_shape', ints: [1, 1], type: 7 },
            { name: 'group', i: 1, type: 2 },
          ],
        },
        { op_type: 'Clip', input: ['conv_1', '', 'constant_2'] },
        { op_type: 'Softmax', output: ['logits'], attribute: [{ name: 'axis', i: -1, type: 2 }] },
      ],
      initializer: [
        {
          name: 'constant_1',
          dims: [2, 1, 1, 1],
          data_type: 1,
          raw_data: Buffer.from('0000c03f000000c0', 'hex'),
        },
        { name: 'constant_2', data_type: 1, raw_data: Buffer.from('0000c040', 'hex') },
      ],
      input: [
        {
          name: 'pixel_values',
          type: {
            tensor_type: {
              elem_type: 1,
              shape: { dim: [{ dim_param: 'batch' }, { dim_value: 1 }, { dim_value: 4 }, { dim_value: 5 }] },
            },
          },
        },
      ],
      output: [{ name: 'logits' }],
    },
  });
});

test('equal nodes and constants come once, and what no output needs is left out', () => {
  const builder = new GraphBuilder();
  const two = builder.scalar(2);
  const doubled = builder.add('Mul', ['pixel_values', two]);
  expect(builder.scalar(2)).toBe(two);
  expect(builder.add('Mul', ['pixel_values', two])).toBe(doubled);
  builder.add('Add', [doubled, builder.scalar(3)]);
  const graph = builder.finish({ name: 'pixel_values', shape: [1] }, [
    { name: 'first', value: doubled, shape: [1] },
    { name: 'second', value: doubled, shape: [1] },
  ]);
  expect(graph.nodes.map(({ operator, output }) => [operator, output])).toEqual([
    ['Mul', 'first'],
    ['Identity', 'second'],
  ]);
  expect([...graph.constants.keys()]).toEqual([two]);
});
