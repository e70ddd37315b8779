/** Hard-sigmoid and hard-swish, the activations of MobileNetV3. */
import type { GraphNode } from '../../onnx/model.ts';
import type { Lowering } from '../lowering.ts';
import { constantOf, type Value } from '../value.ts';
import { padded } from '../weights.ts';
import { emitOverImage } from './overImage.ts';
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
  emitOverImage(node, value, lowering, 'affine', [scale, shift, 0, 1]);
}

export function lowerHardSwish(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  if (isComputedImage(value)) emitOverImage(node, value, lowering, 'hardSwish', []);
  else lowerPlain(node, lowering);
}
