/** Operators in row-major order: constants are computed while planning, the rest at every run by the same functions. */
import { ModelFileError, UnsupportedOperatorError } from '../../errors.ts';
import { asFloat32, sizeOf, type NdArray } from '../../onnx/array.ts';
import type { GraphNode } from '../../onnx/model.ts';
import {
  combine,
  concatenate,
  multiplyMatrices,
  reduce,
  sliceArray,
  slicePositions,
  softmax,
  transpose,
} from '../arrays.ts';
import { axisOf, integer, integers } from '../attributes.ts';
import { activationBounds } from '../follow.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import { constantOf, type Value } from '../value.ts';

type Evaluate = (inputs: readonly NdArray[]) => NdArray;

const unary: Readonly<Record<string, (x: number) => number>> = {
  Relu: (x) => Math.max(x, 0),
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  Tanh: Math.tanh,
  Exp: Math.exp,
  Log: Math.log,
  Sqrt: Math.sqrt,
  Neg: (x) => -x,
  Abs: Math.abs,
  Reciprocal: (x) => 1 / x,
  HardSwish: (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
};

const binary: Readonly<Record<string, (x: number, y: number) => number>> = {
  Add: (x, y) => x + y,
  Sub: (x, y) => x - y,
  Mul: (x, y) => x * y,
  Div: (x, y) => x / y,
  Pow: (x, y) => x ** y,
  Max: (x, y) => Math.max(x, y),
  Min: (x, y) => Math.min(x, y),
};

function need(inputs: readonly NdArray[], index: number): NdArray {
  const array = inputs[index];
  if (array === undefined) {
    throw new ModelFileError(
      'An operator lacks one of its inputs. The file is damaged: copy or export it again.',
    );
  }
  return array;
}

/** The operator as a function of its inputs; attributes and shapes of constants are read once. */
function evaluator(node: GraphNode): Evaluate {
  const { operator } = node;
  const one = unary[operator];
  if (one) return (inputs) => mapArray(need(inputs, 0), one);
  const two = binary[operator];
  if (two)
    return (inputs) => inputs.slice(1).reduce((result, next) => combine(result, next, two), need(inputs, 0));
  switch (operator) {
    case 'Identity':
    case 'Dropout':
    case 'Cast':
      return (inputs) => need(inputs, 0);
    case 'HardSigmoid': {
      const { alpha, beta } = hardSigmoidOf(node);
      return (inputs) => mapArray(need(inputs, 0), (x) => Math.min(Math.max(alpha * x + beta, 0), 1));
    }
    case 'InstanceNormalization':
      return (inputs) => normaliseInstances(inputs, node);
    case 'BatchNormalization':
      return (inputs) => normalise(inputs, node);
    case 'Softmax':
    case 'LogSoftmax':
      return (inputs) => {
        const array = need(inputs, 0);
        return softmax(
          array,
          axisOf(integer(node, 'axis', -1), array.shape.length),
          operator === 'LogSoftmax',
        );
      };
    case 'MatMul':
      return (inputs) => multiplyMatrices(need(inputs, 0), need(inputs, 1));
    case 'Gemm':
      return (inputs) => gemm(inputs, node);
    case 'ReduceSum':
    case 'ReduceMean':
      return (inputs) => {
        const array = need(inputs, 0);
        const given = inputs[1] ? Array.from(inputs[1].data) : integers(node, 'axes', []);
        const all = array.shape.map((_, axis) => axis);
        const axes = given.length > 0 ? given.map((axis) => axisOf(axis, array.shape.length)) : all;
        return reduce(array, axes, integer(node, 'keepdims', 1) !== 0, operator === 'ReduceMean');
      };
    case 'Transpose':
      return (inputs) => {
        const array = need(inputs, 0);
        const reversed = array.shape.map((_, axis) => array.shape.length - 1 - axis);
        return transpose(array, integers(node, 'perm', reversed));
      };
    case 'Concat':
      return (inputs) => concatenate(inputs, axisOf(integer(node, 'axis', 0), need(inputs, 0).shape.length));
    case 'Slice':
      return (inputs) => slice(inputs);
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
      throw new UnsupportedOperatorError(operator, 'of a constant is not supported');
    default:
      throw new UnsupportedOperatorError(operator === '' ? '(unnamed)' : operator);
  }
}

function mapArray({ shape, data }: NdArray, use: (x: number) => number): NdArray {
  return { shape, data: Float64Array.from(data, use) };
}

function normalise(inputs: readonly NdArray[], node: GraphNode): NdArray {
  const array = need(inputs, 0);
  const given = node.attributes.get('epsilon');
  const epsilon = typeof given === 'number' ? given : 1e-5;
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) => need(inputs, index).data);
  const channels = array.shape[1] ?? 1;
  const inner = array.data.length / ((array.shape[0] ?? 1) * channels);
  const data = Float64Array.from(array.data, (value, index) => {
    const channel = Math.floor(index / inner) % channels;
    const deviation = Math.sqrt((variance?.[channel] ?? 1) + epsilon);
    return ((value - (mean?.[channel] ?? 0)) / deviation) * (gamma?.[channel] ?? 1) + (beta?.[channel] ?? 0);
  });
  return { shape: array.shape, data };
}

/** Factor and shift before the value is cut off at 0 and 1. */
export function hardSigmoidOf({ attributes }: GraphNode): { readonly alpha: number; readonly beta: number } {
  const number = (name: string, fallback: number): number => {
    const value = attributes.get(name);
    return typeof value === 'number' ? value : fallback;
  };
  return { alpha: number('alpha', 0.2), beta: number('beta', 0.5) };
}

/** Every channel of every image by its own mean and deviation. */
function normaliseInstances(inputs: readonly NdArray[], node: GraphNode): NdArray {
  const array = need(inputs, 0);
  const given = node.attributes.get('epsilon');
  const epsilon = typeof given === 'number' ? given : 1e-5;
  const channels = array.shape[1] ?? 1;
  const inner = sizeOf(array.shape.slice(2));
  const [factors, shifts] = [need(inputs, 1).data, need(inputs, 2).data];
  const data = new Float64Array(array.data.length);
  for (let start = 0; start < data.length; start += inner) {
    const values = Float64Array.from(array.data.subarray(start, start + inner));
    const mean = values.reduce((sum, value) => sum + value, 0) / inner;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / inner;
    const channel = (start / inner) % channels;
    const factor = (factors[channel] ?? 1) / Math.sqrt(variance + epsilon);
    for (let index = 0; index < inner; index++) {
      data[start + index] = ((values[index] ?? 0) - mean) * factor + (shifts[channel] ?? 0);
    }
  }
  return { shape: array.shape, data };
}

function gemm(inputs: readonly NdArray[], node: GraphNode): NdArray {
  const factor = (name: string): number => {
    const value = node.attributes.get(name);
    return typeof value === 'number' ? value : 1;
  };
  const turned = (array: NdArray, flag: string): NdArray =>
    integer(node, flag, 0) === 0 ? array : transpose(array, [1, 0]);
  const product = multiplyMatrices(turned(need(inputs, 0), 'transA'), turned(need(inputs, 1), 'transB'));
  const [alpha, beta] = [factor('alpha'), factor('beta')];
  const scaled = mapArray(product, (value) => alpha * value);
  const [, , bias] = inputs;
  return bias ? combine(scaled, bias, (value, offset) => value + beta * offset) : scaled;
}

function slice(inputs: readonly NdArray[]): NdArray {
  const array = need(inputs, 0);
  const starts = Array.from(need(inputs, 1).data);
  const ends = need(inputs, 2).data;
  const rank = array.shape.length;
  return starts.reduce((result, start, index) => {
    const axis = axisOf(inputs[3]?.data[index] ?? index, rank);
    const length = array.shape[axis] ?? 0;
    return sliceArray(
      result,
      axis,
      slicePositions(length, start, ends[index] ?? length, inputs[4]?.data[index] ?? 1),
    );
  }, array);
}

export function lowerPlain(node: GraphNode, lowering: Lowering): void {
  if (node.operator === 'Clip') {
    lowerPlainClip(node, lowering);
    return;
  }
  const evaluate = evaluator(node);
  const inputs = node.inputs.map((name) => lowering.optional(name)).filter((value) => value !== null);
  evaluatePlain(node.operator, inputs, node.outputs[0], lowering, evaluate);
}

/** Either bound may be left out. */
function lowerPlainClip(node: GraphNode, lowering: Lowering): void {
  const { low, high } = activationBounds(node, lowering) ?? { low: -Infinity, high: Infinity };
  evaluatePlain('Clip', [lowering.value(node.inputs[0])], node.outputs[0], lowering, (inputs) =>
    mapArray(need(inputs, 0), (x) => Math.min(Math.max(x, low), high)),
  );
}

/** Computes a constant at once; else emits a step that computes the value at every run. */
export function evaluatePlain(
  name: string,
  inputs: readonly Value[],
  output: string | undefined,
  lowering: Lowering,
  evaluate: Evaluate,
): void {
  const constants = inputs.map(constantOf);
  const known = constants.filter((constant) => constant !== null);
  if (known.length === inputs.length) {
    const constant = evaluate(known);
    lowering.define(output, { shape: constant.shape, constant });
    return;
  }
  const tensors = inputs.map((value, index) => (constants[index] ? null : lowering.layouts.plain(value)));
  const shapes = inputs.map(({ shape }) => shape);
  const zeros = inputs.map(({ shape }, index) => constants[index] ?? zeroArray(shape));
  const { shape } = evaluate(zeros);
  const result = new Tensor(shape, null, 'plain');
  lowering.defineTensor(output, result);
  const { memory } = lowering.kernels;
  lowering.emit({
    name,
    reads: tensors.filter((tensor) => tensor !== null),
    writes: [result],
    bind: () => () => {
      const arrays = tensors.map((tensor, index): NdArray => {
        const constant = constants[index];
        if (constant) return constant;
        const own = shapes[index] ?? [];
        const length = own.reduce((product, size) => product * size, 1);
        return { shape: own, data: new Float32Array(memory.buffer, tensor?.address ?? 0, length) };
      });
      const values = asFloat32(evaluate(arrays));
      new Float32Array(memory.buffer, result.address, values.length).set(values);
    },
  });
}

function zeroArray(shape: readonly number[]): NdArray {
  return { shape, data: new Float32Array(shape.reduce((product, size) => product * size, 1)) };
}
