/** Resize: feature maps brought to another height and width, bilinear or by the nearest pixel. */
import { UnsupportedOperatorError } from '../../errors.ts';
import type { GraphNode } from '../../onnx/model.ts';
import { text } from '../attributes.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import { placesOf } from './places.ts';

/** Float32 and int32 numbers of one entry of the kernel's tables. */
const entrySize = 3;

export function lowerResize(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const { shape } = value;
  const [batch, channels = 1, height = 1, width = 1] = shape;
  const sizes = sizesOf(node, shape, lowering);
  const [newBatch, newChannels, newHeight = 1, newWidth = 1] = sizes;
  if (shape.length !== 4 || batch !== 1 || newBatch !== 1 || newChannels !== channels) {
    throw new UnsupportedOperatorError(
      'Resize',
      'of other than the rows and columns of images is not supported',
    );
  }
  const rows = placeTable(node, height, newHeight, lowering);
  const columns = placeTable(node, width, newWidth, lowering);
  const input = lowering.layouts.image(value);
  const output = new Tensor([1, channels, newHeight, newWidth], null);
  lowering.defineTensor(node.outputs[0], output);
  lowering.emit({
    name: 'Resize',
    reads: [input],
    writes: [output],
    bind: () => {
      const values = [
        ...[input.origin, input.row, input.plane, output.origin, output.row, output.plane],
        ...[output.blocks, newHeight, newWidth, rows, columns],
      ];
      return () => {
        lowering.kernels.interpolate(...values);
      };
    },
  });
}

/** The new shape, given as such or by factors. */
function sizesOf(node: GraphNode, shape: readonly number[], lowering: Lowering): readonly number[] {
  const sizes = lowering.numbers(node, 3) ?? [];
  if (sizes.length > 0) return sizes;
  const scales = lowering.numbers(node, 2) ?? [];
  if (scales.length !== shape.length) {
    throw new UnsupportedOperatorError('Resize', 'without sizes and scales is not supported');
  }
  return shape.map((size, axis) => Math.floor(size * (scales[axis] ?? 1)));
}

function placeTable(node: GraphNode, size: number, newSize: number, lowering: Lowering): number {
  const rule = {
    mode: text(node, 'mode', 'nearest'),
    transformation: text(node, 'coordinate_transformation_mode', 'half_pixel'),
    rounding: text(node, 'nearest_mode', 'round_prefer_floor'),
  };
  return lowering.weights.place(`places ${JSON.stringify(rule)} ${size} ${newSize}`, () => {
    const table = new Float32Array(newSize * entrySize);
    const numbers = new Int32Array(table.buffer);
    for (const [place, { first, second, share }] of placesOf(rule, size, newSize).entries()) {
      numbers[place * entrySize] = first;
      numbers[place * entrySize + 1] = second;
      table[place * entrySize + 2] = share;
    }
    return table;
  });
}

/** Shape: a constant, since every size is known while planning. */
export function lowerShape(node: GraphNode, lowering: Lowering): void {
  const { shape } = lowering.value(node.inputs[0]);
  lowering.define(node.outputs[0], {
    shape: [shape.length],
    constant: { shape: [shape.length], data: Float64Array.from(shape) },
  });
}
