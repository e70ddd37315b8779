/** What each ONNX operator computes, by the engine's operators: https://onnx.ai/onnx/operators, operator set 17. */
import { ops, Tensor } from '@cohort-ml/torch';
import { ExportError } from '../errors.ts';
import type { Attribute, OperatorType } from './graph.ts';

/** The values that a node takes. */
export interface NodeInputs {
  readonly all: readonly Tensor[];
  /** @throws {ExportError} where there is none */
  at(position: number): Tensor;
  optional(position: number): Tensor | null;
}

type Attributes = Readonly<Record<string, Attribute>>;
type Evaluator = (inputs: NodeInputs, attributes: Attributes) => Tensor;

function whole(attributes: Attributes, name: string, otherwise: number): number {
  const value = attributes[name] ?? otherwise;
  if (typeof value !== 'number') throw wrongAttribute(name);
  return value;
}

function wholes(attributes: Attributes, name: string, otherwise: readonly number[]): readonly number[] {
  const value = attributes[name] ?? otherwise;
  if (typeof value === 'number' || 'float' in value || 'text' in value) throw wrongAttribute(name);
  return value;
}

function wrongAttribute(name: string): ExportError {
  return new ExportError(
    `The attribute ${name} of a node is of another kind. This is a bug in Cohort's export; please report it.`,
  );
}

/** Padding at the beginning, which all nodes here have at the end too. */
function padding(attributes: Attributes): number[] {
  return wholes(attributes, 'pads', [0, 0, 0, 0]).slice(0, 2);
}

function poolSizes(attributes: Attributes): [kernel: readonly number[], stride: readonly number[]] {
  return [wholes(attributes, 'kernel_shape', []), wholes(attributes, 'strides', [1, 1])];
}

/** `[C]` along dimension `axis` of a tensor of `rank` dimensions; a single value stays one. */
function alongAxis(parameter: Tensor, axis: number, rank: number): Tensor {
  if (parameter.numel === 1) return parameter.reshape([]);
  return parameter.reshape(Array.from({ length: rank }, (_, index) => (index === axis ? -1 : 1)));
}

/** Operators of two-stage detectors, whose results have as many rows as objects are found: ONNX Runtime checks those. */
const notEvaluated: Evaluator = () => {
  throw new ExportError(
    'Graphs of two-stage detectors are run by ONNX Runtime only. Install it: npm install onnxruntime-node --ignore-scripts.',
  );
};

/** Every operator of exported graphs. */
export const evaluators: Readonly<Record<OperatorType, Evaluator>> = {
  Add: (inputs) => inputs.at(0).add(inputs.at(1)),
  Sub: (inputs) => inputs.at(0).sub(inputs.at(1)),
  Mul: (inputs) => inputs.at(0).mul(inputs.at(1)),
  Div: (inputs) => inputs.at(0).div(inputs.at(1)),
  MatMul: (inputs) => inputs.at(0).matmul(inputs.at(1)),
  Relu: (inputs) => inputs.at(0).relu(),
  Sigmoid: (inputs) => inputs.at(0).sigmoid(),
  HardSwish: (inputs) => inputs.at(0).hardswish(),
  // With the factor and the shift of the exported graphs: a sixth and a half.
  HardSigmoid: (inputs) => inputs.at(0).hardsigmoid(),
  Tanh: (inputs) => inputs.at(0).tanh(),
  Exp: (inputs) => inputs.at(0).exp(),
  Sqrt: (inputs) => inputs.at(0).sqrt(),
  Log: (inputs) => inputs.at(0).log(),
  Identity: (inputs) => inputs.at(0).alias(),
  Cast: (inputs) => inputs.at(0).to('float32'),
  Clip: (inputs) =>
    inputs.at(0).clamp(inputs.optional(1)?.item() ?? null, inputs.optional(2)?.item() ?? null),
  Softmax: (inputs, attributes) => inputs.at(0).softmax(whole(attributes, 'axis', -1)),
  Concat: (inputs, attributes) => ops.cat(inputs.all, whole(attributes, 'axis', 0)),
  Flatten: (inputs, attributes) => inputs.at(0).flatten(whole(attributes, 'axis', 1)),
  Conv: (inputs, attributes) =>
    ops.conv2d(
      inputs.at(0),
      inputs.at(1),
      inputs.optional(2),
      wholes(attributes, 'strides', [1, 1]),
      padding(attributes),
      wholes(attributes, 'dilations', [1, 1]),
      whole(attributes, 'group', 1),
    ),
  Gemm: (inputs, attributes) => {
    const weight = inputs.at(1);
    const isTransposed = whole(attributes, 'transB', 0) === 1;
    return ops.linear(inputs.at(0), isTransposed ? weight : weight.t(), inputs.optional(2));
  },
  BatchNormalization: (inputs, attributes) => {
    const { epsilon } = attributes;
    if (typeof epsilon !== 'object' || !('float' in epsilon)) throw wrongAttribute('epsilon');
    const input = inputs.at(0);
    const [weight, bias, mean, variance] = [1, 2, 3, 4].map((position) =>
      alongAxis(inputs.at(position), 1, input.shape.length),
    ) as [Tensor, Tensor, Tensor, Tensor];
    return input.sub(mean).div(variance.add(epsilon.float).sqrt()).mul(weight).add(bias);
  },
  GlobalAveragePool: (inputs) => inputs.at(0).mean([2, 3], true),
  AveragePool: (inputs, attributes) => {
    const [kernel, stride] = poolSizes(attributes);
    const includesPadding = whole(attributes, 'count_include_pad', 0) === 1;
    return inputs.at(0).avgPool2d(kernel, stride, padding(attributes), false, includesPadding);
  },
  MaxPool: (inputs, attributes) => {
    const [kernel, stride] = poolSizes(attributes);
    const dilation = wholes(attributes, 'dilations', [1, 1]);
    return inputs.at(0).maxPool2d(kernel, stride, padding(attributes), dilation);
  },
  ReduceMean: (inputs, attributes) =>
    inputs.at(0).mean(wholes(attributes, 'axes', []), whole(attributes, 'keepdims', 1) === 1),
  ReduceSum: (inputs, attributes) =>
    inputs.at(0).sum(inputs.at(1).toNumbers(), whole(attributes, 'keepdims', 1) === 1),
  Reshape: (inputs) => {
    const { shape } = inputs.at(0);
    const sizes = inputs.at(1).toNumbers();
    return inputs.at(0).reshape(sizes.map((size, index) => (size === 0 ? (shape[index] ?? 1) : size)));
  },
  Slice: (inputs) => {
    const [start = 0, end = 0, axis = 0] = [1, 2, 3].map((position) => inputs.at(position).item());
    return inputs.at(0).narrow(axis, start, end - start);
  },
  Resize: (inputs, attributes) => {
    const [height = 1, width = 1] = inputs.at(3).toNumbers().slice(2);
    const { mode } = attributes;
    if (typeof mode !== 'object' || !('text' in mode)) throw wrongAttribute('mode');
    return mode.text === 'nearest'
      ? ops.upsampleNearest2d(inputs.at(0), [height, width])
      : ops.upsampleBilinear2d(inputs.at(0), [height, width], false);
  },
  Shape: (inputs) => {
    const { shape } = inputs.at(0);
    return Tensor.fromTypedArray(Int32Array.from(shape)).to({ dtype: 'int64' });
  },
  InstanceNormalization: (inputs, attributes) => {
    const { epsilon } = attributes;
    if (typeof epsilon !== 'object' || !('float' in epsilon)) throw wrongAttribute('epsilon');
    const input = inputs.at(0);
    const rank = input.shape.length;
    const places = Array.from({ length: rank - 2 }, (_, index) => index + 2);
    const mean = input.mean(places, true);
    const variance = input.sub(mean).square().mean(places, true);
    const [weight, bias] = [alongAxis(inputs.at(1), 1, rank), alongAxis(inputs.at(2), 1, rank)];
    return input.sub(mean).div(variance.add(epsilon.float).sqrt()).mul(weight).add(bias);
  },
  Transpose: (inputs, attributes) => inputs.at(0).permute(wholes(attributes, 'perm', [])),
  Squeeze: (inputs) =>
    inputs
      .at(1)
      .toNumbers()
      .reduce((value, axis) => value.squeeze(axis), inputs.at(0)),
  Unsqueeze: (inputs) =>
    inputs
      .at(1)
      .toNumbers()
      .reduce((value, axis) => value.unsqueeze(axis), inputs.at(0)),
  ConvTranspose: (inputs, attributes) =>
    ops.convTranspose2d(
      inputs.at(0),
      inputs.at(1),
      inputs.optional(2),
      wholes(attributes, 'strides', [1, 1]),
    ),
  Equal: notEvaluated,
  Floor: notEvaluated,
  Gather: notEvaluated,
  GreaterOrEqual: notEvaluated,
  Max: notEvaluated,
  Min: notEvaluated,
  NonMaxSuppression: notEvaluated,
  ReduceMin: notEvaluated,
  RoiAlign: notEvaluated,
  TopK: notEvaluated,
  Where: notEvaluated,
  // Whole numbers stay in float32, which holds those of 8 bits exactly.
  QuantizeLinear: (inputs) => {
    const zero = inputs.at(2).to('float32');
    return inputs.at(0).div(inputs.at(1)).round().add(zero).clamp(0, 255);
  },
  // In float64, since the bias has 32 bits.
  DequantizeLinear: (inputs, attributes) => {
    const input = inputs.at(0).to('float64');
    const axis = whole(attributes, 'axis', 1);
    const along = (parameter: Tensor): Tensor => alongAxis(parameter.to('float64'), axis, input.shape.length);
    const zero = inputs.optional(2);
    const centred = zero === null ? input : input.sub(along(zero));
    return centred.mul(along(inputs.at(1))).to('float32');
  },
};
