/** Sizes of a convolution: of its weights, its window, its images, and the border that it reads. */
import { InputError, ModelFileError, UnsupportedOperatorError } from '../../errors.ts';
import type { GraphNode } from '../../onnx/model.ts';
import { integer, windowOf, type Window } from '../attributes.ts';
import type { Border } from '../tensor.ts';
import type { KernelShape } from '../weights.ts';

/** A convolution in numbers; a linear layer is one of 1x1 on one pixel. */
export interface ConvolutionShape extends KernelShape, Window {
  readonly groups: number;
  readonly inputHeight: number;
  readonly inputWidth: number;
  readonly outputHeight: number;
  readonly outputWidth: number;
}

/** @throws {ModelFileError} where weights and input disagree */
export function convolutionShape(
  node: GraphNode,
  input: readonly number[],
  weights: readonly number[],
): ConvolutionShape {
  const groups = integer(node, 'group', 1);
  const [outputs = 0, inputsPerGroup = 0, height = 0, width = 0] = weights;
  const [, inputs = 0, inputHeight = 0, inputWidth = 0] = input;
  if (input.length !== 4 || weights.length !== 4) {
    throw new UnsupportedOperatorError('Conv', 'in other than two dimensions is not supported');
  }
  if (groups < 1 || outputs % groups !== 0 || inputsPerGroup * groups !== inputs || height < 1 || width < 1) {
    throw new ModelFileError(
      `A convolution has weights [${weights.join(', ')}] in ${groups} groups for ${inputs} channels. The file is damaged: copy or export it again.`,
    );
  }
  const window = windowOf(node, [height, width]);
  const { stride, dilation, pads } = window;
  const outputSize = (size: number, kernel: number, pad: number): number =>
    Math.floor((size + pad - dilation * (kernel - 1) - 1) / stride) + 1;
  const outputHeight = outputSize(inputHeight, height, pads[0] + pads[2]);
  const outputWidth = outputSize(inputWidth, width, pads[1] + pads[3]);
  if (outputHeight < 1 || outputWidth < 1) {
    throw new InputError(
      `An image of ${inputHeight} by ${inputWidth} pixels is too small for this network. Use a larger one.`,
    );
  }
  return {
    ...window,
    outputs,
    inputs,
    height,
    width,
    groups,
    inputHeight,
    inputWidth,
    outputHeight,
    outputWidth,
  };
}

/** Zeros that a convolution reads around its input, where it computes whole tiles of `tile` times `tile` output pixels. */
export function convolutionBorder(shape: ConvolutionShape, tile: number): Border {
  const { stride, dilation, pads, height, width, outputHeight, outputWidth, inputHeight, inputWidth } = shape;
  const beyond = (outputs: number, kernel: number, pad: number, size: number): number => {
    const whole = tile * Math.ceil(outputs / tile);
    return Math.max(0, (whole - 1) * stride + (kernel - 1) * dilation + 1 - pad - size);
  };
  return {
    top: pads[0],
    left: pads[1],
    bottom: beyond(outputHeight, height, pads[0], inputHeight),
    right: beyond(outputWidth, width, pads[1], inputWidth),
  };
}

/** Shape of a linear layer as a convolution of one pixel. */
export function linearShape(inputs: number, outputs: number): ConvolutionShape {
  const one = { height: 1, width: 1, stride: 1, dilation: 1, groups: 1 };
  const sizes = { inputHeight: 1, inputWidth: 1, outputHeight: 1, outputWidth: 1 };
  return { ...one, ...sizes, pads: [0, 0, 0, 0], inputs, outputs };
}
