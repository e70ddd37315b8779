/** Arithmetic between values, batch normalisation, ReLU and Clip. */
import type { GraphNode } from '../../onnx/model.ts';
import { activationBounds, followActivation, followQuantisation } from '../follow.ts';
import type { Lowering } from '../lowering.ts';
import { isVector, Tensor } from '../tensor.ts';
import { constantOf, floatsOf, type Value } from '../value.ts';
import { padded, perChannel } from '../weights.ts';
import { quantisedBounds } from './integer.ts';
import { emitOverImage } from './overImage.ts';
import { lowerPlain } from './plain.ts';

const operations: Readonly<Record<string, number>> = { Add: 0, Sub: 1, Mul: 2, Div: 3 };

/** A scale and a shift for each channel, or one for all. */
interface Affine {
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

/** Add, Sub, Mul or Div with a constant per channel as a scale and a shift; null for anything else. */
function affineOf(node: GraphNode, image: Value, other: Value, reversed: boolean): Affine | null {
  const constant = constantOf(other);
  const values = constant && perChannel(constant, image.shape);
  if (values === null) return null;
  const one = new Float32Array(values.length).fill(1);
  const zero = new Float32Array(values.length);
  if (node.operator === 'Mul') return { scale: values, shift: zero };
  if (node.operator === 'Add') return { scale: one, shift: values };
  if (node.operator === 'Sub') {
    const negative = values.map((value) => -value);
    return reversed ? { scale: one.map(() => -1), shift: values } : { scale: one, shift: negative };
  }
  return reversed ? null : { scale: values.map((value) => 1 / value), shift: zero };
}

const isImage = ({ shape }: Value): boolean => shape.length === 4 && shape[0] === 1;

export function lowerBinary(node: GraphNode, lowering: Lowering): void {
  const [a, b] = [lowering.value(node.inputs[0]), lowering.value(node.inputs[1])];
  const [aConstant, bConstant] = [constantOf(a) !== null, constantOf(b) !== null];
  if (aConstant !== bConstant) {
    const [image, other] = aConstant ? [b, a] : [a, b];
    const affine = isImage(image) ? affineOf(node, image, other, aConstant) : null;
    if (affine) {
      emitAffine(lowering, image, followAffine(node.outputs[0], image, affine, lowering));
      return;
    }
  }
  const sameShape =
    a.shape.length === b.shape.length && a.shape.every((size, index) => size === b.shape[index]);
  if (!aConstant && !bConstant && isImage(a) && isImage(b) && a.shape[1] === b.shape[1]) {
    if (node.operator === 'Add' && sameShape && addIntegers(node, a, b, lowering)) return;
    const vector = isVector(a.shape) !== isVector(b.shape);
    if ((sameShape || vector) && node.operator !== 'Div') {
      emitBinary(node, a, b, lowering);
      return;
    }
  }
  lowerPlain(node, lowering);
}

function emitBinary(node: GraphNode, a: Value, b: Value, lowering: Lowering): void {
  const [first, second] = [lowering.layouts.image(a), lowering.layouts.image(b)];
  const shape = isVector(a.shape) ? b.shape : a.shape;
  const { low, high, output: name } = followActivation(node.outputs[0], lowering);
  const output = new Tensor(shape, null);
  lowering.defineTensor(name, output);
  const operation = operations[node.operator] ?? 0;
  const steps = (tensor: Tensor): number[] => {
    const repeated = isVector(tensor.shape) && !isVector(shape);
    return [tensor.origin, repeated ? 0 : tensor.row, tensor.plane, repeated ? 0 : 16];
  };
  lowering.emit({
    name: node.operator,
    reads: [first, second],
    writes: [output],
    bind: () => {
      const values = [
        ...[operation, ...steps(first), ...steps(second), output.origin, output.row, output.plane],
        ...[output.blocks, output.height, output.width, low, high],
      ];
      return () => {
        lowering.kernels.binary(...values);
      };
    },
  });
}

/** An Add between quantised values whose sum is quantised too. */
function addIntegers(node: GraphNode, a: Value, b: Value, lowering: Lowering): boolean {
  const [ours, theirs] = [lowering.layouts.quantisation(a), lowering.layouts.quantisation(b)];
  if (ours === null || theirs === null || !lowering.isQuantisedAfter(node)) return false;
  const activated = followActivation(node.outputs[0], lowering);
  const quantised = followQuantisation(activated.output, lowering);
  if (quantised === null) return false;
  const [first, second] = [lowering.layouts.blocked(a), lowering.layouts.blocked(b)];
  const { scale } = quantised.quantisation;
  const { low, high } = quantisedBounds(activated, quantised.quantisation);
  const output = new Tensor(a.shape, quantised.quantisation);
  lowering.defineTensor(quantised.output, output);
  lowering.emit({
    name: 'Add int8',
    reads: [first, second],
    writes: [output],
    bind: () => {
      const values = [first, second, output].flatMap(({ origin, row, plane }) => [origin, row, plane]);
      values.push(
        output.blocks,
        output.height,
        output.width,
        ours.scale / scale,
        theirs.scale / scale,
        low,
        high,
      );
      return () => {
        lowering.kernels.addInteger(...values);
      };
    },
  });
  return true;
}

interface FollowedAffine extends Affine {
  readonly output: string | undefined;
}

/** An Add of a constant after a Mul becomes part of it: the normalisation of the input. */
function followAffine(
  output: string | undefined,
  image: Value,
  affine: Affine,
  lowering: Lowering,
): FollowedAffine {
  const node = lowering.onlyConsumer(output);
  const other = node?.inputs.find((name) => name !== output);
  const isShifted = affine.shift.some((value) => value !== 0);
  if (node?.operator !== 'Add' || isShifted || other === undefined || !lowering.isKnown(other)) {
    return { ...affine, output };
  }
  const constant = constantOf(lowering.value(other));
  const shift = constant && perChannel(constant, image.shape);
  if (shift === null) return { ...affine, output };
  lowering.absorb(node);
  return { scale: affine.scale, shift, output: node.outputs[0] };
}

function emitAffine(lowering: Lowering, value: Value, affine: FollowedAffine): void {
  const image = lowering.layouts.image(value);
  const { low, high, output: name } = followActivation(affine.output, lowering);
  const channels = value.shape[1] ?? 1;
  const output = new Tensor(value.shape, null);
  lowering.defineTensor(name, output);
  const key = `${affine.output ?? ''} ${channels}`;
  const scale = lowering.weights.place(`scale ${key}`, () => padded(affine.scale, channels));
  const shift = lowering.weights.place(`shift ${key}`, () => padded(affine.shift, channels));
  lowering.emit({
    name: 'Scale and shift',
    reads: [image],
    writes: [output],
    bind: () => {
      const values = [
        ...[image.origin, image.row, image.plane, output.origin, output.row, output.plane],
        ...[output.blocks, output.height, output.width, scale, shift, low, high],
      ];
      return () => {
        lowering.kernels.affine(...values);
      };
    },
  });
}

/** `scale * (x - mean) / sqrt(variance + epsilon) + shift`, with constants. */
export function lowerBatchNormalization(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) =>
    floatsOf(lowering.value(node.inputs[index])),
  );
  if (!gamma || !beta || !mean || !variance || value.shape[0] !== 1) {
    lowerPlain(node, lowering);
    return;
  }
  const given = node.attributes.get('epsilon');
  const epsilon = typeof given === 'number' ? given : 1e-5;
  const scale = gamma.map((factor, channel) => factor / Math.sqrt((variance[channel] ?? 0) + epsilon));
  const shift = beta.map((offset, channel) => offset - (mean[channel] ?? 0) * (scale[channel] ?? 0));
  emitAffine(lowering, value, { scale, shift, output: node.outputs[0] });
}

/** ReLU and Clip that no other node absorbed. */
export function lowerActivation(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const bounds = activationBounds(node, lowering);
  if (!bounds || !isImage(value) || constantOf(value) !== null) {
    lowerPlain(node, lowering);
    return;
  }
  const channels = value.shape[1] ?? 1;
  const scale = lowering.weights.place(`ones ${channels}`, () => padded([1], channels));
  const shift = lowering.weights.place(`zeros ${channels}`, () => padded([0], channels));
  emitOverImage(node, value, lowering, 'affine', [scale, shift, bounds.low, bounds.high]);
}
