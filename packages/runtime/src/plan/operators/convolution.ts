/** Conv, Gemm and MatMul in float32, with what follows them: residual, ReLU and Clip. */
import { UnsupportedOperatorError } from '../../errors.ts';
import type { GraphNode } from '../../onnx/model.ts';
import { followActivation } from '../follow.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import { floatsOf, type Value } from '../value.ts';
import { packDense, packDepthwise, padded, spreadGroups } from '../weights.ts';
import { filters2, filters4, packWinograd } from '../winogradWeights.ts';
import { convolutionBorder, convolutionShape, type ConvolutionShape } from './convolutionShape.ts';
import { winogradScratch, winogradTile } from './winograd.ts';

/** An Add that nothing else uses and whose other operand is known: it becomes the convolution's residual. */
export function followResidual(
  output: string | undefined,
  shape: readonly number[],
  lowering: Lowering,
): { value: Value; output: string | undefined } | null {
  const node = lowering.onlyConsumer(output);
  if (node?.operator !== 'Add') return null;
  const other = node.inputs.find((name) => name !== output);
  if (other === undefined || !lowering.isKnown(other)) return null;
  const value = lowering.value(other);
  const same =
    value.shape.length === shape.length && value.shape.every((size, index) => size === shape[index]);
  if (!same || floatsOf(value) !== null) return null;
  lowering.absorb(node);
  return { value, output: node.outputs[0] };
}

export function lowerConvolution(node: GraphNode, lowering: Lowering): void {
  const input = lowering.value(node.inputs[0]);
  const weightValue = lowering.value(node.inputs[1]);
  const weights = floatsOf(weightValue);
  const biasValue = lowering.optional(node.inputs[2]);
  const bias = biasValue && floatsOf(biasValue);
  if (weights === null || (biasValue && !bias)) {
    throw new UnsupportedOperatorError('Conv', 'with computed weights is not supported');
  }
  const shape = convolutionShape(node, input.shape, weightValue.shape);
  convolve(lowering, {
    input,
    weights,
    bias,
    shape,
    key: node.inputs.slice(1).join('|'),
    output: node.outputs[0],
  });
}

export interface FloatConvolution {
  readonly input: Value;
  readonly weights: Float32Array;
  readonly bias: Float32Array | null;
  readonly shape: ConvolutionShape;
  /** Names the weights among those that are placed. */
  readonly key: string;
  readonly output: string | undefined;
  readonly outputShape?: readonly number[];
}

/** Emits the convolution with what follows it, and defines the result. */
export function convolve(lowering: Lowering, convolution: FloatConvolution): void {
  const { shape, key, weights, bias } = convolution;
  const { outputs, inputs, groups, height, width, stride, dilation, outputHeight, outputWidth, pads } = shape;
  const { kernels, weights: store } = lowering;
  const outputShape = convolution.outputShape ?? [1, outputs, outputHeight, outputWidth];
  const depthwise = groups > 1 && groups === inputs && groups === outputs;
  const tile = winogradTile(shape, 4);
  const input = lowering.layouts.image(convolution.input, convolutionBorder(shape, tile));
  const added = depthwise ? null : followResidual(convolution.output, outputShape, lowering);
  const residual = added && lowering.layouts.image(added.value);
  const { low, high, output: name } = followActivation(added ? added.output : convolution.output, lowering);
  const output = new Tensor(outputShape, null);
  lowering.defineTensor(name, output);
  const biasAddress = store.place(`bias ${key}`, () => padded(bias ?? [0], outputs));
  const first = (): number => input.origin - pads[0] * input.row - pads[1] * 16;
  const reads = residual ? [input, residual] : [input];
  const residualArguments = (): number[] =>
    residual ? [residual.origin, residual.row, residual.plane] : [0, 0, 0];

  if (depthwise) {
    const address = store.place(`depthwise ${key}`, () => packDepthwise(weights, outputs, height * width));
    lowering.emit({
      name: 'Conv depthwise',
      reads,
      writes: [output],
      bind: () => {
        const values = [
          ...[first(), input.row, input.plane, input.blocks, output.origin, output.row, output.plane],
          ...[outputHeight, outputWidth, address, height, width, stride, dilation, biasAddress, low, high],
        ];
        return () => {
          kernels.depthwiseFloat(...values);
        };
      },
    });
    return;
  }

  if (tile > 1) {
    const address = store.place(`winograd ${tile} ${key}`, () =>
      packWinograd(weights, outputs, inputs, tile === 4 ? filters4 : filters2),
    );
    const scratch = winogradScratch(
      shape,
      tile,
      input.blocks,
      2 * Math.ceil(output.blocks / 2),
      kernels.threads,
    );
    const run = tile === 4 ? kernels.winogradFloat4 : kernels.winogradFloat;
    lowering.emit({
      name: 'Conv 3x3',
      reads,
      writes: [output, scratch.tensor],
      bind: () => {
        const values = [
          ...[
            first(),
            input.row,
            input.plane,
            input.blocks,
            output.origin,
            output.row,
            output.plane,
            output.blocks,
          ],
          ...[
            outputHeight,
            outputWidth,
            address,
            scratch.tensor.address,
            scratch.plane,
            scratch.rows,
            biasAddress,
          ],
          ...[...residualArguments(), low, high],
        ];
        return () => {
          run(...values);
        };
      },
    });
    return;
  }

  const inputsPerGroup = inputs / groups;
  const outputsPerGroup = outputs / groups;
  const apart = groups > 1 && inputsPerGroup % 4 === 0 && outputsPerGroup % 8 === 0;
  const parts = apart ? groups : 1;
  const address = store.place(`dense ${key}`, () =>
    apart
      ? packDense(weights, { outputs, inputs: inputsPerGroup, height, width })
      : packDense(groups > 1 ? spreadGroups(weights, shape, groups) : weights, shape),
  );
  // Pixels of a 1x1 convolution without border follow one another: all rows are one.
  const joined = (tensor: Tensor): boolean => tensor.plain || !tensor.hasBorder;
  const canJoin = height === 1 && width === 1 && stride === 1 && pads.every((pad) => pad === 0);
  lowering.emit({
    name: `Conv ${height}x${width}`,
    reads,
    writes: [output],
    bind: () => {
      const flat = canJoin && joined(input) && joined(output) && (residual === null || joined(residual));
      const [rows, columns] = flat ? [1, outputHeight * outputWidth] : [outputHeight, outputWidth];
      const inputBlocks = input.blocks / parts;
      const outputBlocks = output.blocks / parts;
      const weightBytes = Math.ceil(outputBlocks / 2) * 128 * height * width * inputBlocks;
      const [residualOrigin = 0, residualRow = 0, residualPlane = 0] = residualArguments();
      const calls = Array.from({ length: parts }, (_, part) => [
        ...[first() + part * inputBlocks * input.plane, input.row, input.plane, inputBlocks],
        ...[
          output.origin + part * outputBlocks * output.plane,
          output.row,
          output.plane,
          outputBlocks,
          rows,
          columns,
        ],
        ...[
          address + part * weightBytes,
          height,
          width,
          stride,
          dilation,
          biasAddress + part * outputBlocks * 16,
        ],
        ...[
          residual ? residualOrigin + part * outputBlocks * residualPlane : 0,
          residualRow,
          residualPlane,
          low,
          high,
          inputs <= 3 && groups === 1 ? 1 : 0,
        ],
      ]);
      return () => {
        for (const call of calls) kernels.convolveFloat(...call);
      };
    },
  });
}
