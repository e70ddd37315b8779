/** What follows a node and can be computed with it: activations and quantisation. */
import { asFloat32 } from '../onnx/array.ts';
import type { GraphNode } from '../onnx/model.ts';
import type { Lowering } from './lowering.ts';
import type { Quantisation } from './tensor.ts';
import { constantOf } from './value.ts';

/** Bounds of an activation, and the value whose place it takes. */
export interface Followed {
  readonly low: number;
  readonly high: number;
  readonly output: string | undefined;
}

/** ReLU and Clip after a value that nothing else uses. */
export function followActivation(output: string | undefined, lowering: Lowering): Followed {
  let low = -Infinity;
  let high = Infinity;
  let name = output;
  for (;;) {
    const node = lowering.onlyConsumer(name);
    const bounds = node && activationBounds(node, lowering);
    if (!node || !bounds) return { low, high, output: name };
    low = Math.max(low, bounds.low);
    high = Math.min(high, bounds.high);
    name = node.outputs[0];
    lowering.absorb(node);
  }
}

/** Bounds of a ReLU or Clip node, null for others. */
export function activationBounds(node: GraphNode, lowering: Lowering): { low: number; high: number } | null {
  if (node.operator === 'Relu') return { low: 0, high: Infinity };
  if (node.operator !== 'Clip') return null;
  const bound = (index: number, fallback: number): number => lowering.numbers(node, index)?.[0] ?? fallback;
  return { low: bound(1, -Infinity), high: bound(2, Infinity) };
}

/** A QuantizeLinear after a value that nothing else uses. */
export function followQuantisation(
  output: string | undefined,
  lowering: Lowering,
): { quantisation: Quantisation; output: string | undefined } | null {
  const node = lowering.onlyConsumer(output);
  if (node?.operator !== 'QuantizeLinear') return null;
  const quantisation = readQuantisation(node, lowering);
  if (quantisation === null) return null;
  lowering.absorb(node);
  return { quantisation, output: node.outputs[0] };
}

/** Scale and zero point of a QuantizeLinear or DequantizeLinear node with one constant scale; null for others. */
export function readQuantisation(node: GraphNode, lowering: Lowering): Quantisation | null {
  const scales = constantOf(lowering.value(node.inputs[1]));
  const zeroPoints = lowering.optional(node.inputs[2]);
  const zeroPointArray = zeroPoints && constantOf(zeroPoints);
  const scale = scales && asFloat32(scales);
  if (scale?.length !== 1 || scale[0] === undefined) return null;
  const zeroPoint = zeroPointArray?.data[0] ?? 0;
  const signed = zeroPointArray?.data instanceof Int8Array;
  const [lowest, highest] = signed ? [-128, 127] : [0, 255];
  return { scale: scale[0], zeroPoint, low: lowest - zeroPoint, high: highest - zeroPoint };
}
