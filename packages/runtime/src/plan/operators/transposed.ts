/** ConvTranspose whose windows do not overlap, as mask heads have it: a 1x1 convolution whose outputs are laid out as larger pixels. */
import { UnsupportedOperatorError } from '../../errors.ts';
import type { GraphNode } from '../../onnx/model.ts';
import { integer, integers, windowOf } from '../attributes.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import { floatsOf } from '../value.ts';
import { convolve } from './convolution.ts';

export function lowerTransposedConvolution(node: GraphNode, lowering: Lowering): void {
  const input = lowering.value(node.inputs[0]);
  const weightValue = lowering.value(node.inputs[1]);
  const biasValue = lowering.optional(node.inputs[2]);
  const weights = floatsOf(weightValue);
  const bias = biasValue && floatsOf(biasValue);
  const [, inputs = 0, height = 0, width = 0] = input.shape;
  const [ownInputs, outputs = 0, side = 0, otherSide] = weightValue.shape;
  const { stride, dilation, pads } = windowOf(node, [side, side]);
  const isSimple =
    [...pads, ...integers(node, 'output_padding', [])].every((pad) => pad === 0) &&
    dilation === 1 &&
    integer(node, 'group', 1) === 1;
  if (
    weights === null ||
    (biasValue && !bias) ||
    input.shape.length !== 4 ||
    ownInputs !== inputs ||
    side !== otherSide ||
    side !== stride ||
    !isSimple
  ) {
    throw new UnsupportedOperatorError(
      'ConvTranspose',
      'with overlapping windows, padding, groups or computed weights is not supported',
    );
  }
  const parts = side * side;
  const [output = ''] = node.outputs;
  const small = `${output}, as small pixels`;
  const size = { inputHeight: height, inputWidth: width, outputHeight: height, outputWidth: width };
  const window = { height: 1, width: 1, stride: 1, dilation: 1, groups: 1 };
  convolve(lowering, {
    input,
    weights: byOutput(weights, inputs, outputs * parts),
    bias:
      bias && Float32Array.from({ length: outputs * parts }, (_, row) => bias[Math.floor(row / parts)] ?? 0),
    shape: { ...window, ...size, pads: [0, 0, 0, 0], inputs, outputs: outputs * parts },
    key: `turned ${node.inputs.slice(1).join('|')}`,
    output: small,
  });
  enlarge(lowering, small, output, [outputs, height, width], side);
}

/** `[inputs, rows] -> [rows, inputs]`. */
function byOutput(weights: Float32Array, inputs: number, rows: number): Float32Array {
  return Float32Array.from(
    { length: weights.length },
    (_, place) => weights[(place % inputs) * rows + Math.floor(place / inputs)] ?? 0,
  );
}

/** `[C side side, h, w] -> [C, h side, w side]`, block by block. */
function enlarge(
  lowering: Lowering,
  from: string,
  to: string,
  [channels, height, width]: readonly [number, number, number],
  side: number,
): void {
  const source = lowering.layouts.image(lowering.value(from));
  const target = new Tensor([1, channels, height * side, width * side], null);
  lowering.defineTensor(to, target);
  const { memory } = lowering.kernels;
  lowering.emit({
    name: 'ConvTranspose places',
    reads: [source],
    writes: [target],
    bind: () => {
      const place = (tensor: Tensor, channel: number, row: number): number =>
        (tensor.origin + Math.floor(channel / 4) * tensor.plane + row * tensor.row) / 4 + (channel % 4);
      return () => {
        const values = new Float32Array(memory.buffer);
        for (let row = 0; channels % 4 !== 0 && row < height * side; row++) {
          const start = place(target, channels - (channels % 4), row);
          values.fill(0, start, start + 4 * width * side);
        }
        for (let channel = 0; channel < channels; channel++) {
          for (let part = 0; part < side * side; part++) {
            const [down, across] = [Math.floor(part / side), part % side];
            for (let row = 0; row < height; row++) {
              const read = place(source, channel * side * side + part, row);
              const write = place(target, channel, row * side + down) + 4 * across;
              for (let column = 0; column < width; column++) {
                values[write + 4 * side * column] = values[read + 4 * column] ?? 0;
              }
            }
          }
        }
      };
    },
  });
}
