/** Hard-sigmoid and hard-swish, the activations of MobileNetV3. */
import type { GraphNode } from '../../onnx/model.ts';
import type { Lowering } from '../lowering.ts';
import { Tensor } from '../tensor.ts';
import { constantOf, type Value } from '../value.ts';
import { padded } from '../weights.ts';
import { hardSigmoidOf, lowerPlain } from './plain.ts';

const isComputedImage = (value: Value): boolean =>
  value.shape.length === 4 && value.shape[0] === 1 && constantOf(value) === null;

/** `clamp(alpha x + beta, 0, 1)`. */
export function lowerHardSigmoid(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  if (!isComputedImage(value)) {
    lowerPlain(node, lowering);
    return;
  }
  const { alpha, beta } = hardSigmoidOf(node);
  const channels = value.shape[1] ?? 1;
  const scale = lowering.weights.place(`all ${alpha} ${channels}`, () => padded([alpha], channels));
  const shift = lowering.weights.place(`all ${beta} ${channels}`, () => padded([beta], channels));
  emit(node, value, lowering, 'affine', [scale, shift, 0, 1]);
}

export function lowerHardSwish(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  if (isComputedImage(value)) emit(node, value, lowering, 'hardSwish', []);
  else lowerPlain(node, lowering);
}

function emit(
  node: GraphNode,
  value: Value,
  lowering: Lowering,
  kernel: 'affine' | 'hardSwish',
  more: readonly number[],
): void {
  const image = lowering.layouts.image(value);
  const output = new Tensor(value.shape, null);
  lowering.defineTensor(node.outputs[0], output);
  lowering.emit({
    name: node.operator,
    reads: [image],
    writes: [output],
    bind: () => {
      const values = [
        ...[image.origin, image.row, image.plane, output.origin, output.row, output.plane],
        ...[output.blocks, output.height, output.width, ...more],
      ];
      return () => {
        lowering.kernels[kernel](...values);
      };
    },
  });
}
