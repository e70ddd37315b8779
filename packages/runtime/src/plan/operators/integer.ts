/**
 * Quantised convolutions: where input and weights come from DequantizeLinear, the integers are multiplied, and a
 * QuantizeLinear that follows becomes one factor per channel.
 */
import type { GraphNode } from '../../onnx/model.ts';
import { followActivation, followQuantisation, type Followed } from '../follow.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor, type Quantisation } from '../tensor.ts';
import type { QuantisedConstant, Value } from '../value.ts';
import { constantOf } from '../value.ts';
import { packDenseIntegers, packDepthwiseIntegers } from '../weights.ts';
import { integerFilters2, integerFilters4, placeWinogradIntegers } from '../winogradWeights.ts';
import { followResidual, lowerConvolution } from './convolution.ts';
import { convolutionBorder, convolutionShape, type ConvolutionShape } from './convolutionShape.ts';
import { winogradScratch, winogradTile } from './winograd.ts';

/** Int8 weights with zero point 0 and one scale, or one per output channel. */
export function symmetric(value: Value, axis: number): QuantisedConstant | null {
  const { quantised } = value;
  if (quantised === undefined || !(quantised.integers.data instanceof Int8Array)) return null;
  if (quantised.zeroPoints && Array.from(quantised.zeroPoints).some((zeroPoint) => zeroPoint !== 0))
    return null;
  return quantised.scales.length === 1 || quantised.axis === axis ? quantised : null;
}

/** Conv: in integers where input and weights are, else in float32. */
export function lowerAnyConvolution(node: GraphNode, lowering: Lowering): void {
  const input = lowering.value(node.inputs[0]);
  const weightValue = lowering.value(node.inputs[1]);
  const weights = symmetric(weightValue, 0);
  const biasValue = lowering.optional(node.inputs[2]);
  if (
    lowering.layouts.quantisation(input) === null ||
    weights === null ||
    (biasValue && !constantOf(biasValue))
  ) {
    lowerConvolution(node, lowering);
    return;
  }
  const shape = convolutionShape(node, input.shape, weightValue.shape);
  const depthwise = shape.groups > 1 && shape.groups === shape.inputs && shape.groups === shape.outputs;
  if (shape.groups > 1 && !depthwise) {
    lowerConvolution(node, lowering);
    return;
  }
  const key = node.inputs.slice(1).join('|');
  const output = node.outputs[0];
  convolveIntegers(lowering, { input, weights, bias: biasValue, shape, key, output }, () => {
    lowerConvolution(node, lowering);
  });
}

export interface IntegerConvolution {
  readonly input: Value;
  readonly weights: QuantisedConstant;
  readonly bias: Value | null;
  readonly shape: ConvolutionShape;
  readonly key: string;
  readonly output: string | undefined;
  readonly outputShape?: readonly number[];
}

/** Sums of the convolution at the scale `input scale * weight scale`: biases, and those scales. */
function biasAndScales(
  convolution: IntegerConvolution,
  inputScale: number,
): { biases: Int32Array; scales: Float64Array } {
  const { weights, bias, shape } = convolution;
  const scales = Float64Array.from(
    { length: shape.outputs },
    (_, channel) => inputScale * (weights.scales[channel % weights.scales.length] ?? 0),
  );
  const integers = bias?.quantised?.integers.data;
  const reals = bias && !integers ? constantOf(bias)?.data : undefined;
  const biases = Int32Array.from(scales, (scale, channel) => {
    if (integers instanceof Int32Array) return integers[channel] ?? 0;
    return reals ? Math.round((reals[channel] ?? 0) / scale) : 0;
  });
  return { biases, scales };
}

/** `[8 int32 biases][8 float32 factors]` for every eight output channels. */
function packFactors(biases: Int32Array, factors: Float64Array): Int32Array {
  const packed = new Int32Array(Math.ceil(biases.length / 8) * 16);
  const floats = new Float32Array(packed.buffer);
  for (const [channel, bias] of biases.entries()) {
    const at = (channel >> 3) * 16 + (channel & 7);
    packed[at] = bias;
    floats[at + 8] = factors[channel] ?? 0;
  }
  return packed;
}

interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** Bounds of an activation at a scale, within what can be stored. */
export function quantisedBounds({ low, high }: Bounds, quantisation: Quantisation): Bounds {
  const { scale } = quantisation;
  return {
    low: Math.max(quantisation.low, Math.round(low / scale)),
    high: Math.min(quantisation.high, Math.round(high / scale)),
  };
}

/** `requantise`'s six vectors. */
function packFinish(first: Bounds, last: Bounds, ours: number, theirs: number): Float32Array {
  const values = [first.low, first.high, last.low, last.high, ours, theirs];
  return Float32Array.from({ length: 24 }, (_, index) => values[index >> 2] ?? 0);
}

/** What the integers become: int16 at a scale of their own, perhaps after a residual was added at another. */
interface Finish {
  readonly quantisation: Quantisation;
  readonly output: string | undefined;
  readonly residual: Tensor | null;
  /** Scale at which the convolution itself is rounded. */
  readonly scale: number;
  readonly values: Float32Array;
}

/** Looks for ReLU, QuantizeLinear, and DequantizeLinear with Add, ReLU and QuantizeLinear. Null without QuantizeLinear. */
function followIntegers(
  activated: Followed,
  outputShape: readonly number[],
  lowering: Lowering,
  canAdd: boolean,
): Finish | null {
  const first = followQuantisation(activated.output, lowering);
  if (first === null) return null;
  const { quantisation } = first;
  const bounds = quantisedBounds(activated, quantisation);
  const alone = {
    quantisation,
    output: first.output,
    residual: null,
    scale: quantisation.scale,
    values: packFinish(bounds, bounds, 1, 1),
  };
  const real = lowering.onlyConsumer(first.output);
  const add = real?.operator === 'DequantizeLinear' ? lowering.onlyConsumer(real.outputs[0]) : null;
  if (!canAdd || !real || add?.operator !== 'Add') return alone;
  const other = add.inputs.find((name) => name !== real.outputs[0]);
  if (other === undefined || !lowering.isKnown(other)) return alone;
  const theirs = lowering.layouts.quantisation(lowering.value(other));
  if (theirs === null || !lowering.isQuantisedAfter(add)) return alone;
  const added = followResidual(real.outputs[0], outputShape, lowering);
  if (added === null) return alone;
  lowering.absorb(real);
  const last = followActivation(added.output, lowering);
  const second = followQuantisation(last.output, lowering);
  if (second === null) return alone;
  const scale = second.quantisation.scale;
  return {
    quantisation: second.quantisation,
    output: second.output,
    residual: lowering.layouts.blocked(added.value),
    scale: quantisation.scale,
    values: packFinish(
      bounds,
      quantisedBounds(last, second.quantisation),
      quantisation.scale / scale,
      theirs.scale / scale,
    ),
  };
}

/** Below this, a sum survives the arithmetic of `winogradInteger4`. */
const largestExactSum = 2 ** 25;

/** As `winogradTile`, of 4 only where no input can lead to sums that are too large for it. */
function exactTile(
  shape: ConvolutionShape,
  weights: ArrayLike<number>,
  { low, high }: Quantisation,
): 1 | 2 | 4 {
  const tile = winogradTile(shape, 2);
  if (tile !== 4) return tile;
  const largestInput = Math.max(-low, high);
  const size = 9 * shape.inputs;
  // With few channels even the largest weights are too small, and nothing need be summed.
  if (size * 128 * largestInput < largestExactSum) return 4;
  for (let output = 0; output < shape.outputs; output++) {
    let sum = 0;
    for (let index = output * size; index < (output + 1) * size; index++)
      sum += Math.abs(weights[index] ?? 0);
    if (sum * largestInput >= largestExactSum) return 2;
  }
  return 4;
}

/** `depthwiseInteger` has a table of this length. */
const mostDepthwiseTaps = 255;

/** Emits the convolution with what follows it. `otherwise` runs where only float32 serves. */
export function convolveIntegers(
  lowering: Lowering,
  convolution: IntegerConvolution,
  otherwise: () => void,
): void {
  const { shape, weights, key } = convolution;
  const { outputs, inputs, groups, height, width, stride, dilation, outputHeight, outputWidth, pads } = shape;
  const { kernels, weights: store } = lowering;
  const outputShape = convolution.outputShape ?? [1, outputs, outputHeight, outputWidth];
  const depthwise = groups > 1;
  const inputQuantisation = lowering.layouts.quantisation(convolution.input);
  const canDepthwise = lowering.isQuantisedLater(convolution.output) && height * width <= mostDepthwiseTaps;
  if (inputQuantisation === null || (depthwise && !canDepthwise)) {
    otherwise();
    return;
  }
  const { biases, scales } = biasAndScales(convolution, inputQuantisation.scale);
  const activated = followActivation(convolution.output, lowering);
  const finish = followIntegers(activated, outputShape, lowering, !depthwise);
  const integers = weights.integers.data;
  const tile = finish === null ? 1 : exactTile(shape, integers, inputQuantisation);
  const input = lowering.layouts.blocked(convolution.input, convolutionBorder(shape, tile));
  const first = (): number => input.origin - pads[0] * input.row - pads[1] * 16;
  const factors = finish ? scales.map((scale) => scale / finish.scale) : scales;
  const unique = `${key} ${convolution.output ?? ''}`;
  const colour = inputs <= 4 ? 1 : 0;
  const biasAddress = store.place(`integer bias ${unique}`, () => packFactors(biases, factors));

  if (finish === null) {
    const address = store.place(`integer ${key}`, () => packDenseIntegers(integers, shape));
    const scaleAddress = store.place(`integer scale ${unique}`, () => {
      const padded = new Float32Array(Math.ceil(outputs / 8) * 8);
      padded.set(scales);
      return padded;
    });
    const sums = new Tensor([1, Math.ceil(outputs / 8) * 8, outputHeight, outputWidth], null);
    const output = new Tensor(outputShape, null);
    lowering.defineTensor(activated.output, output);
    lowering.emit({
      name: 'Conv int8 sums',
      reads: [input],
      writes: [sums],
      bind: () => {
        const values = [
          ...[
            first(),
            input.row,
            input.plane,
            input.blocks,
            sums.origin,
            sums.row,
            sums.plane,
            sums.blocks / 2,
          ],
          ...[
            outputHeight,
            outputWidth,
            address,
            height,
            width,
            stride,
            dilation,
            biasAddress,
            0,
            0,
            0,
            0,
            colour,
          ],
        ];
        return () => {
          kernels.convolveInteger(...values);
        };
      },
    });
    lowering.emit({
      name: 'Conv int8 scale',
      reads: [sums],
      writes: [output],
      bind: () => {
        const values = [
          ...[sums.origin, sums.row, sums.plane, output.origin, output.row, output.plane, output.blocks],
          ...[outputHeight, outputWidth, scaleAddress, activated.low, activated.high],
        ];
        return () => {
          kernels.scaleSums(...values);
        };
      },
    });
    return;
  }

  const output = new Tensor(outputShape, finish.quantisation);
  lowering.defineTensor(finish.output, output);
  const { residual } = finish;
  const finishAddress = store.place(`finish ${unique}`, () => finish.values);
  const name = depthwise ? 'depthwise' : tile > 1 ? 'winograd' : 'integer';
  const weightKey = `${name} ${tile} ${key}`;
  const transform = tile === 4 ? integerFilters4 : integerFilters2;
  const address =
    tile > 1
      ? placeWinogradIntegers(store, kernels, weightKey, integers, [outputs, inputs], transform)
      : store.place(weightKey, () =>
          depthwise
            ? packDepthwiseIntegers(integers, outputs, height * width)
            : packDenseIntegers(integers, shape),
        );
  const scratch =
    tile > 1 ? winogradScratch(shape, tile, input.blocks, 2 * output.blocks, kernels.threads) : null;
  const reads = residual ? [input, residual] : [input];
  lowering.emit({
    name: `Conv int8 ${name}`,
    reads,
    writes: scratch ? [output, scratch.tensor] : [output],
    bind: () => {
      const from = [first(), input.row, input.plane, input.blocks];
      const [residualOrigin, residualRow, residualPlane] = residual
        ? [residual.origin, residual.row, residual.plane]
        : [0, 0, 0];
      const canJoin = height === 1 && width === 1 && stride === 1 && pads.every((pad) => pad === 0);
      const flat = canJoin && !input.hasBorder && !output.hasBorder && !residual?.hasBorder;
      const [rows, columns] =
        flat && !depthwise ? [1, outputHeight * outputWidth] : [outputHeight, outputWidth];
      const to = [output.origin, output.row, output.plane];
      const window = [height, width, stride, dilation];
      const rest = [residualOrigin, residualRow, residualPlane, finishAddress];
      if (depthwise) {
        const values = [...from, ...to, rows, columns, address, ...window, biasAddress, finishAddress];
        return () => {
          kernels.depthwiseInteger(...values);
        };
      }
      if (scratch) {
        const { tensor, plane } = scratch;
        const memory = [tensor.address, plane, scratch.rows];
        const values = [
          ...from,
          ...to,
          output.blocks,
          rows,
          columns,
          address,
          ...memory,
          biasAddress,
          ...rest,
        ];
        const run = tile === 4 ? kernels.winogradInteger4 : kernels.winogradInteger;
        return () => {
          run(...values);
        };
      }
      const values = [
        ...[...from, ...to, output.blocks, rows, columns, address, ...window, biasAddress],
        ...[...rest, colour],
      ];
      return () => {
        kernels.convolveInteger(...values);
      };
    },
  });
}
