/** MaxPool, AveragePool and means over all pixels. */
import { UnsupportedOperatorError } from '../../errors.ts';
import type { GraphNode } from '../../onnx/model.ts';
import { axisOf, integer, integers, windowOf } from '../attributes.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import { constantOf, type Value } from '../value.ts';
import { evaluatePlain, lowerPlain } from './plain.ts';

/** Kinds of the kernel `pool`. */
const kinds = { max: 0, averageInside: 1, averageWhole: 2 } as const;

interface Pooling {
  readonly kind: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pads: readonly number[];
  readonly shape: readonly number[];
}

export function lowerPool(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const [, channels = 1, height = 1, width = 1] = value.shape;
  const [kernelHeight = 0, kernelWidth = 0] = integers(node, 'kernel_shape', []);
  if (isUnevenTiling(node)) {
    poolTiles(node, value, lowering, [kernelHeight, kernelWidth]);
    return;
  }
  const { stride, dilation, pads } = windowOf(node, [kernelHeight, kernelWidth]);
  if (value.shape.length !== 4 || dilation !== 1 || kernelHeight < 1 || kernelWidth < 1) {
    throw new UnsupportedOperatorError(
      node.operator,
      'in other than two dimensions, or dilated, is not supported',
    );
  }
  const ceil = integer(node, 'ceil_mode', 0) !== 0;
  const size = (pixels: number, kernel: number, before: number, after: number): number => {
    const steps = (pixels + before + after - kernel) / stride;
    const count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    return ceil && (count - 1) * stride >= pixels + before ? count - 1 : count;
  };
  const outputHeight = size(height, kernelHeight, pads[0], pads[2]);
  const outputWidth = size(width, kernelWidth, pads[1], pads[3]);
  const whole = integer(node, 'count_include_pad', 0) !== 0;
  const average = whole ? kinds.averageWhole : kinds.averageInside;
  emitPool(node, value, lowering, {
    kind: node.operator === 'MaxPool' ? kinds.max : average,
    kernel: [kernelHeight, kernelWidth],
    stride,
    pads,
    shape: [1, channels, outputHeight, outputWidth],
  });
}

/** Whether windows lie side by side and are not square: of pyramid pooling, whose maps are small. */
function isUnevenTiling(node: GraphNode): boolean {
  const kernel = integers(node, 'kernel_shape', []);
  const strides = integers(node, 'strides', [1, 1]);
  const isPlain = [...integers(node, 'pads', []), integer(node, 'ceil_mode', 0)].every(
    (value) => value === 0,
  );
  const dilates = integers(node, 'dilations', []).some((step) => step !== 1);
  return strides[0] !== strides[1] && strides.join() === kernel.join() && isPlain && !dilates;
}

function poolTiles(
  node: GraphNode,
  value: Value,
  lowering: Lowering,
  [kernelHeight, kernelWidth]: readonly [number, number],
): void {
  const isLargest = node.operator === 'MaxPool';
  evaluatePlain(node.operator, [value], node.outputs[0], lowering, ([array]) => {
    if (array?.shape.length !== 4) {
      throw new UnsupportedOperatorError(node.operator, 'in other than two dimensions is not supported');
    }
    const [batch = 1, channels = 1, height = 1, width = 1] = array.shape;
    const [rows, columns] = [Math.floor(height / kernelHeight), Math.floor(width / kernelWidth)];
    const data = new Float64Array(batch * channels * rows * columns).fill(isLargest ? -Infinity : 0);
    for (let plane = 0; plane < batch * channels; plane++) {
      for (let y = 0; y < rows * kernelHeight; y++) {
        for (let x = 0; x < columns * kernelWidth; x++) {
          const to = (plane * rows + Math.floor(y / kernelHeight)) * columns + Math.floor(x / kernelWidth);
          const [before = 0, next = 0] = [data[to], array.data[(plane * height + y) * width + x]];
          data[to] = isLargest ? Math.max(before, next) : before + next / (kernelHeight * kernelWidth);
        }
      }
    }
    return { shape: [batch, channels, rows, columns], data };
  });
}

export function lowerGlobalAverage(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  emitMean(node, value, lowering, [...value.shape.slice(0, 2), ...value.shape.slice(2).map(() => 1)]);
}

/** ReduceMean over rows and columns is a pooling; others are computed in row-major order. */
export function lowerReduceMean(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const axes = integers(node, 'axes', []).map((axis) => axisOf(axis, value.shape.length));
  const overPixels = value.shape.length === 4 && axes.length === 2 && axes.includes(2) && axes.includes(3);
  if (!overPixels || constantOf(value) !== null) {
    lowerPlain(node, lowering);
    return;
  }
  const kept = integer(node, 'keepdims', 1) !== 0;
  emitMean(node, value, lowering, kept ? [...value.shape.slice(0, 2), 1, 1] : value.shape.slice(0, 2));
}

function emitMean(node: GraphNode, value: Value, lowering: Lowering, shape: readonly number[]): void {
  if (value.shape.length !== 4) {
    throw new UnsupportedOperatorError(node.operator, 'of other than images is not supported');
  }
  const [, , height = 1, width = 1] = value.shape;
  const pads = [0, 0, 0, 0];
  emitPool(node, value, lowering, {
    kind: kinds.averageInside,
    kernel: [height, width],
    stride: 1,
    pads,
    shape,
  });
}

function emitPool(node: GraphNode, value: Value, lowering: Lowering, pooling: Pooling): void {
  const { kind, kernel, stride, pads, shape } = pooling;
  const [, , height = 1, width = 1] = value.shape;
  const input = lowering.layouts.image(value);
  const output = new Tensor(shape, null);
  lowering.defineTensor(node.outputs[0], output);
  lowering.emit({
    name: node.operator,
    reads: [input],
    writes: [output],
    bind: () => {
      const values = [
        ...[
          kind,
          input.origin,
          input.row,
          input.plane,
          height,
          width,
          output.origin,
          output.row,
          output.plane,
        ],
        ...[output.blocks, output.height, output.width, ...kernel, stride, pads[0] ?? 0, pads[1] ?? 0],
      ];
      return () => {
        lowering.kernels.pool(...values);
      };
    },
  });
}
