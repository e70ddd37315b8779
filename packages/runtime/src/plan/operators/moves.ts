/** Operators that only move values: they relabel channels or shapes, and copy nothing themselves. */
import { ModelFileError } from '../../errors.ts';
import { sizeOf } from '../../onnx/array.ts';
import type { GraphNode } from '../../onnx/model.ts';
import { axisOf, integer, integers } from '../attributes.ts';
import type { Lowering } from '../lowering.ts';
import type { Channel, Value } from '../value.ts';
import { constantOf } from '../value.ts';
import { evaluatePlain, lowerPlain } from './plain.ts';
import { sliceArray, slicePositions } from '../arrays.ts';

/** Defines a value of known channels. */
function defineChannels(
  name: string | undefined,
  shape: readonly number[],
  channels: readonly Channel[],
  lowering: Lowering,
): void {
  const [first] = channels;
  const whole =
    first?.tensor.channels === channels.length &&
    channels.every(({ tensor, index }, at) => tensor === first.tensor && index === at);
  lowering.define(name, whole ? { shape, tensor: first.tensor, channels } : { shape, channels });
}

/** Reshape, Flatten, Squeeze, Unsqueeze and Identity. */
export function lowerReshape(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  if (constantOf(value) !== null) {
    lowerPlain(node, lowering);
    return;
  }
  const shape = newShape(node, value.shape, lowering);
  if (sizeOf(shape) !== sizeOf(value.shape)) {
    throw new ModelFileError(
      `${node.operator} cannot bring [${value.shape.join(', ')}] to [${shape.join(', ')}]. The file is damaged: copy or export it again.`,
    );
  }
  const [rows, columns] = value.shape.slice(-2);
  const samePixels = shape.length >= 4 && shape[0] === 1 && shape.at(-2) === rows && shape.at(-1) === columns;
  const channels = samePixels && !value.tensor?.plain ? lowering.layouts.channels(value) : null;
  if (channels) {
    defineChannels(node.outputs[0], shape, channels, lowering);
    return;
  }
  const isInteger = value.tensor?.plain === true && lowering.layouts.quantisation(value) !== null;
  const tensor = isInteger ? lowering.layouts.blocked(value) : lowering.layouts.plain(value);
  lowering.defineTensor(node.outputs[0], tensor, shape);
}

/** The shape that Reshape and its kin bring a value to. */
export function newShape(node: GraphNode, shape: readonly number[], lowering: Lowering): readonly number[] {
  const axes = (): number[] => lowering.numbers(node, 1) ?? [...integers(node, 'axes', [])];
  switch (node.operator) {
    case 'Reshape': {
      const wanted = (lowering.numbers(node, 1) ?? []).map((size, index) =>
        size === 0 ? (shape[index] ?? 0) : size,
      );
      const known = wanted.reduce((product, size) => (size === -1 ? product : product * size), 1);
      return wanted.map((size) => (size === -1 ? sizeOf(shape) / known : size));
    }
    case 'Flatten': {
      const axis = integer(node, 'axis', 1);
      const split = axis < 0 ? axis + shape.length : axis;
      return [sizeOf(shape.slice(0, split)), sizeOf(shape.slice(split))];
    }
    case 'Squeeze': {
      const given = axes().map((axis) => axisOf(axis, shape.length));
      return shape.filter((size, index) => (given.length > 0 ? !given.includes(index) : size !== 1));
    }
    case 'Unsqueeze': {
      const given = axes();
      const rank = shape.length + given.length;
      const places = new Set(given.map((axis) => axisOf(axis, rank)));
      const rest = [...shape];
      return Array.from({ length: rank }, (_, index) => (places.has(index) ? 1 : (rest.shift() ?? 1)));
    }
    default:
      return shape;
  }
}

/** Whether an axis is one of channels, not of the batch, rows or columns. */
const isChannelAxis = (axis: number, rank: number): boolean => rank >= 4 && axis >= 1 && axis < rank - 2;

export function lowerConcat(node: GraphNode, lowering: Lowering): void {
  const values = node.inputs.map((name) => lowering.value(name));
  const [first] = values;
  const rank = first?.shape.length ?? 0;
  const axis = axisOf(integer(node, 'axis', 0), rank);
  const lists = isChannelAxis(axis, rank) ? values.map((value) => lowering.layouts.channels(value)) : [];
  if (first === undefined || lists.length === 0 || lists.includes(null)) {
    lowerPlain(node, lowering);
    return;
  }
  const size = values.reduce((sum, { shape }) => sum + (shape[axis] ?? 0), 0);
  const shape = first.shape.map((length, index) => (index === axis ? size : length));
  const inner = sizeOf(shape.slice(axis + 1, -2));
  const outer = sizeOf(shape.slice(1, axis));
  const channels = Array.from({ length: outer }, (_, part) =>
    values.flatMap((value, index) => {
      const length = (value.shape[axis] ?? 0) * inner;
      return lists[index]?.slice(part * length, (part + 1) * length) ?? [];
    }),
  ).flat();
  defineChannels(node.outputs[0], shape, channels, lowering);
}

/** Keeps those positions along an axis of channels. */
function select(
  value: Value,
  channels: readonly Channel[],
  axis: number,
  positions: readonly number[],
): Channel[] {
  const inner = sizeOf(value.shape.slice(axis + 1, -2));
  const outer = sizeOf(value.shape.slice(1, axis));
  const length = value.shape[axis] ?? 0;
  return Array.from({ length: outer }, (_, part) =>
    positions.flatMap((position) => {
      const from = (part * length + position) * inner;
      return channels.slice(from, from + inner);
    }),
  ).flat();
}

export function lowerSlice(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const rank = value.shape.length;
  const axes = lowering.numbers(node, 3) ?? (lowering.numbers(node, 1) ?? []).map((_, index) => index);
  const [axis = 0] = axes.map((given) => axisOf(given, rank));
  const channels = axes.length === 1 && isChannelAxis(axis, rank) ? lowering.layouts.channels(value) : null;
  if (channels === null) {
    lowerPlain(node, lowering);
    return;
  }
  const length = value.shape[axis] ?? 0;
  const [start = 0] = lowering.numbers(node, 1) ?? [];
  const [end = length] = lowering.numbers(node, 2) ?? [];
  const [step = 1] = lowering.numbers(node, 4) ?? [];
  const positions = slicePositions(length, start, end, step);
  const shape = value.shape.map((size, index) => (index === axis ? positions.length : size));
  defineChannels(node.outputs[0], shape, select(value, channels, axis, positions), lowering);
}

export function lowerSplit(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const rank = value.shape.length;
  const axis = axisOf(integer(node, 'axis', 0), rank);
  const length = value.shape[axis] ?? 0;
  const even = Math.ceil(length / node.outputs.length);
  const sizes =
    lowering.numbers(node, 1) ?? node.outputs.map((_, index) => Math.min(even, length - index * even));
  if (sizes.some((size) => size < 0) || sizes.reduce((sum, size) => sum + size, 0) !== length) {
    throw new ModelFileError(
      `Split cannot divide ${length} into ${sizes.join(', ')}. The file is damaged: copy or export it again.`,
    );
  }
  const channels = isChannelAxis(axis, rank) ? lowering.layouts.channels(value) : null;
  let start = 0;
  for (const [index, output] of node.outputs.entries()) {
    const size = sizes[index] ?? 0;
    const positions = Array.from({ length: size }, (_, position) => start + position);
    const shape = value.shape.map((old, at) => (at === axis ? size : old));
    if (channels) defineChannels(output, shape, select(value, channels, axis, positions), lowering);
    else
      evaluatePlain('Split part', [value], output, lowering, ([array]) => sliceArray(array, axis, positions));
    start += size;
  }
}

export function lowerTranspose(node: GraphNode, lowering: Lowering): void {
  const value = lowering.value(node.inputs[0]);
  const rank = value.shape.length;
  const order = integers(
    node,
    'perm',
    Array.from({ length: rank }, (_, index) => rank - 1 - index),
  );
  const keepsPixels = order[0] === 0 && order[rank - 2] === rank - 2 && order[rank - 1] === rank - 1;
  const channels = keepsPixels && rank >= 4 ? lowering.layouts.channels(value) : null;
  if (channels === null) {
    lowerPlain(node, lowering);
    return;
  }
  const shape = order.map((axis) => value.shape[axis] ?? 1);
  const inner = value.shape.slice(1, -2);
  const strides = inner.map((_, index) => sizeOf(inner.slice(index + 1)));
  const moved = order.slice(1, -2).map((axis) => axis - 1);
  const sizes = moved.map((axis) => inner[axis] ?? 1);
  const result = Array.from(channels, (_, position) => {
    let rest = position;
    let from = 0;
    for (let at = sizes.length - 1; at >= 0; at--) {
      const size = sizes[at] ?? 1;
      from += (rest % size) * (strides[moved[at] ?? 0] ?? 0);
      rest = Math.floor(rest / size);
    }
    return channels[from];
  }).filter((channel) => channel !== undefined);
  defineChannels(node.outputs[0], shape, result, lowering);
}
