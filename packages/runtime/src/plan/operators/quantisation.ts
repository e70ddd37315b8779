/** QuantizeLinear and DequantizeLinear where no neighbour absorbed them. */
import { ModelFileError, UnsupportedOperatorError } from '../../errors.ts';
import { asFloat32 } from '../../onnx/array.ts';
import type { GraphNode } from '../../onnx/model.ts';
import { axisOf, integer } from '../attributes.ts';
import { readQuantisation } from '../follow.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import { constantOf } from '../value.ts';

/** Real numbers to integers; nothing is done where they already are integers of that scale. */
export function lowerQuantize(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const wanted = readQuantisation(node, lowering);
  if (wanted === null || constantOf(value) !== null) {
    throw new UnsupportedOperatorError(
      'QuantizeLinear',
      'of constants, or with a scale per channel, is not supported',
    );
  }
  const given = lowering.layouts.quantisation(value);
  const bounded = given !== null && given.low === wanted.low && given.high === wanted.high;
  if (bounded && given.scale === wanted.scale) {
    lowering.define(node.outputs[0], value);
    return;
  }
  const image = lowering.layouts.image(value);
  const output = new Tensor(image.shape, wanted);
  lowering.defineTensor(node.outputs[0], output, value.shape);
  lowering.emit({
    name: 'QuantizeLinear',
    reads: [image],
    writes: [output],
    bind: () => {
      const values = [
        ...[image.origin, image.row, image.plane, image.blocks, output.origin, output.row, output.plane],
        ...[image.height, image.width, wanted.scale, wanted.low, wanted.high],
      ];
      return () => {
        lowering.kernels.quantise(...values);
      };
    },
  });
}

/** Integers to real numbers: constants keep both forms, values stay integers until somebody needs real numbers. */
export function lowerDequantize(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const integers = constantOf(value);
  if (integers === null) {
    if (lowering.layouts.quantisation(value) === null) {
      throw new ModelFileError(
        'DequantizeLinear has an input that is not quantised. The file is damaged: export it again.',
      );
    }
    lowering.define(node.outputs[0], value);
    return;
  }
  const scales = constantOf(lowering.value(node.inputs[1]));
  const zeroPointValue = lowering.optional(node.inputs[2]);
  const zeroPoints = zeroPointValue && constantOf(zeroPointValue);
  if (scales === null)
    throw new UnsupportedOperatorError('DequantizeLinear', 'with a computed scale is not supported');
  const axis = scales.data.length === 1 ? 0 : axisOf(integer(node, 'axis', 1), integers.shape.length);
  lowering.define(node.outputs[0], {
    shape: integers.shape,
    quantised: { integers, scales: asFloat32(scales), zeroPoints: zeroPoints?.data ?? null, axis },
  });
}

/** Constants of any number type; values are float32 already. */
export function lowerCast(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  if (constantOf(value) === null && integer(node, 'to', 1) !== 1) {
    throw new UnsupportedOperatorError('Cast', 'of a computed value to other than float32 is not supported');
  }
  lowering.define(node.outputs[0], value);
}

/** Constant: its value as an attribute. */
export function lowerConstant(node: GraphNode, lowering: Lowering): void {
  for (const value of node.attributes.values()) {
    if (typeof value === 'object' && 'data' in value) {
      lowering.define(node.outputs[0], { shape: value.shape, constant: value });
      return;
    }
    if (typeof value === 'number') {
      lowering.define(node.outputs[0], { shape: [], constant: { shape: [], data: Float64Array.of(value) } });
      return;
    }
    if (Array.isArray(value)) {
      const data = Float64Array.from(value as number[]);
      lowering.define(node.outputs[0], { shape: [data.length], constant: { shape: [data.length], data } });
      return;
    }
  }
  throw new UnsupportedOperatorError('Constant', 'without a number is not supported');
}
