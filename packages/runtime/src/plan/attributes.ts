/** Reads a node's attributes with their defaults. */
import { UnsupportedOperatorError } from '../errors.ts';
import type { GraphNode } from '../onnx/model.ts';

export function integer(node: GraphNode, name: string, fallback: number): number {
  const value = node.attributes.get(name);
  return typeof value === 'number' ? value : fallback;
}

export function text(node: GraphNode, name: string, fallback: string): string {
  const value = node.attributes.get(name);
  return typeof value === 'string' ? value : fallback;
}

export function integers(node: GraphNode, name: string, fallback: readonly number[]): readonly number[] {
  const value = node.attributes.get(name);
  return Array.isArray(value) ? (value as readonly number[]) : fallback;
}

/** Position of the axis that counts from the end where it is negative. @throws {UnsupportedOperatorError} out of range */
export function axisOf(axis: number, rank: number): number {
  const position = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(position) || position < 0 || position >= rank) {
    throw new UnsupportedOperatorError('Axis', `${axis} does not exist in a value of ${rank} dimensions`);
  }
  return position;
}

/** Strides, dilations and pads of a window, the same in both directions but for the pads. */
export interface Window {
  readonly stride: number;
  readonly dilation: number;
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
}

/**
 * @param kernel height and width of the window; pads beyond it make no sense
 * @throws {UnsupportedOperatorError} for automatic padding and for steps that differ between directions
 */
export function windowOf(node: GraphNode, [height, width]: readonly [number, number]): Window {
  const [strideY = 1, strideX = 1] = integers(node, 'strides', [1, 1]);
  const [dilationY = 1, dilationX = 1] = integers(node, 'dilations', [1, 1]);
  const [top = 0, left = 0, bottom = 0, right = 0] = integers(node, 'pads', [0, 0, 0, 0]);
  const automatic = text(node, 'auto_pad', 'NOTSET');
  if (automatic !== 'NOTSET' && automatic !== 'VALID') {
    throw new UnsupportedOperatorError(node.operator, `with auto_pad ${automatic} is not supported`);
  }
  const steps = [strideY, strideX, dilationY, dilationX];
  if (strideY !== strideX || dilationY !== dilationX || steps.some((step) => step < 1 || step > 4096)) {
    throw new UnsupportedOperatorError(node.operator, 'with these strides or dilations is not supported');
  }
  const [mostRows, mostColumns] = [(height - 1) * dilationY, (width - 1) * dilationX];
  const rows = [top, bottom].every((pad) => pad >= 0 && pad <= mostRows);
  if (!rows || [left, right].some((pad) => pad < 0 || pad > mostColumns)) {
    throw new UnsupportedOperatorError(node.operator, 'with pads beyond its window is not supported');
  }
  return { stride: strideY, dilation: dilationY, pads: [top, left, bottom, right] };
}
