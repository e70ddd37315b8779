/** Operators on whole arrays in row-major order: for constants, and for the few small values that are no images. */
import { ModelFileError, UnsupportedOperatorError } from '../errors.ts';
import { sizeOf, type NdArray } from '../onnx/array.ts';

/** Distance between neighbours along each axis. */
export function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

/** Numpy's shape of two broadcast arrays. @throws {UnsupportedOperatorError} where they do not fit */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [left, right] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (left !== right && left !== 1 && right !== 1) {
      throw new UnsupportedOperatorError(
        'Broadcast',
        `of [${a.join(', ')}] and [${b.join(', ')}] is impossible`,
      );
    }
    return left === 1 ? right : left;
  });
}

/** Offsets in an array of `shape` for every position of `target`, to which it is broadcast. */
function broadcastOffsets(shape: readonly number[], target: readonly number[]): Int32Array {
  const strides = stridesOf(shape);
  const steps = target.map((_, axis) => {
    const own = axis - target.length + shape.length;
    return own < 0 || shape[own] === 1 ? 0 : (strides[own] ?? 0);
  });
  return offsetsOf(target, steps);
}

/** Sum of position times step, for every position in row-major order. */
export function offsetsOf(shape: readonly number[], steps: readonly number[]): Int32Array {
  const offsets = new Int32Array(sizeOf(shape));
  let filled = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const step = steps[axis] ?? 0;
    const size = shape[axis] ?? 1;
    for (let position = size - 1; position >= 1; position--) {
      for (let index = 0; index < filled; index++) {
        offsets[position * filled + index] = (offsets[index] ?? 0) + position * step;
      }
    }
    filled *= size;
  }
  return offsets;
}

/** A function of two values at every position. */
export function combine(a: NdArray, b: NdArray, operation: (x: number, y: number) => number): NdArray {
  const shape = broadcastShape(a.shape, b.shape);
  const [left, right] = [broadcastOffsets(a.shape, shape), broadcastOffsets(b.shape, shape)];
  const data = new Float64Array(left.length);
  for (let index = 0; index < data.length; index++) {
    data[index] = operation(a.data[left[index] ?? 0] ?? 0, b.data[right[index] ?? 0] ?? 0);
  }
  return { shape, data };
}

/** `[..., M, K] x [..., K, N] -> [..., M, N]`, leading axes broadcast. */
export function multiplyMatrices(a: NdArray, b: NdArray): NdArray {
  const [rows = 1, inner = 1] = a.shape.slice(-2);
  const [innerOther = 1, columns = 1] = b.shape.slice(-2);
  if (a.shape.length < 2 || b.shape.length < 2 || inner !== innerOther) {
    throw new UnsupportedOperatorError(
      'MatMul',
      `of [${a.shape.join(', ')}] and [${b.shape.join(', ')}] is impossible`,
    );
  }
  const lead = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [left, right] = [
    broadcastOffsets(a.shape.slice(0, -2), lead),
    broadcastOffsets(b.shape.slice(0, -2), lead),
  ];
  const data = new Float64Array(sizeOf(lead) * rows * columns);
  let to = 0;
  for (let matrix = 0; matrix < left.length; matrix++) {
    const [from, other] = [(left[matrix] ?? 0) * rows * inner, (right[matrix] ?? 0) * inner * columns];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          sum += (a.data[from + row * inner + k] ?? 0) * (b.data[other + k * columns + column] ?? 0);
        }
        data[to++] = sum;
      }
    }
  }
  return { shape: [...lead, rows, columns], data };
}

/** Softmax, or its logarithm, along one axis. */
export function softmax(array: NdArray, axis: number, logarithm: boolean): NdArray {
  const length = array.shape[axis] ?? 1;
  const inner = sizeOf(array.shape.slice(axis + 1));
  const data = new Float64Array(array.data.length);
  for (let start = 0; start < data.length; start++) {
    if (Math.floor(start / inner) % length !== 0) continue;
    let largest = -Infinity;
    for (let index = 0; index < length; index++)
      largest = Math.max(largest, array.data[start + index * inner] ?? 0);
    let sum = 0;
    for (let index = 0; index < length; index++)
      sum += Math.exp((array.data[start + index * inner] ?? 0) - largest);
    for (let index = 0; index < length; index++) {
      const shifted = (array.data[start + index * inner] ?? 0) - largest;
      data[start + index * inner] = logarithm ? shifted - Math.log(sum) : Math.exp(shifted) / sum;
    }
  }
  return { shape: array.shape, data };
}

/** Sum or mean over axes. */
export function reduce(array: NdArray, axes: readonly number[], keep: boolean, mean: boolean): NdArray {
  const kept = array.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const strides = stridesOf(kept);
  const offsets = offsetsOf(
    array.shape,
    array.shape.map((_, axis) => (axes.includes(axis) ? 0 : (strides[axis] ?? 0))),
  );
  const data = new Float64Array(sizeOf(kept));
  for (const [index, offset] of offsets.entries())
    data[offset] = (data[offset] ?? 0) + (array.data[index] ?? 0);
  const count = mean ? array.data.length / data.length : 1;
  const shape = keep ? kept : array.shape.filter((_, axis) => !axes.includes(axis));
  return { shape, data: data.map((sum) => sum / count) };
}

export function transpose(array: NdArray, order: readonly number[]): NdArray {
  const strides = stridesOf(array.shape);
  const shape = order.map((axis) => array.shape[axis] ?? 1);
  const offsets = offsetsOf(
    shape,
    order.map((axis) => strides[axis] ?? 0),
  );
  return { shape, data: Float64Array.from(offsets, (offset) => array.data[offset] ?? 0) };
}

export function concatenate(arrays: readonly NdArray[], axis: number): NdArray {
  const [first] = arrays;
  if (first === undefined)
    throw new ModelFileError('Concat has no inputs. The file is damaged: copy or export it again.');
  const outer = sizeOf(first.shape.slice(0, axis));
  const size = arrays.reduce((sum, { shape }) => sum + (shape[axis] ?? 0), 0);
  const shape = first.shape.map((length, index) => (index === axis ? size : length));
  const data = new Float64Array(sizeOf(shape));
  let to = 0;
  for (let part = 0; part < outer; part++) {
    for (const array of arrays) {
      const chunk = array.data.length / outer;
      data.set(array.data.subarray(part * chunk, (part + 1) * chunk), to);
      to += chunk;
    }
  }
  return { shape, data };
}

/** Positions that ONNX's Slice keeps. */
export function slicePositions(length: number, start: number, end: number, step: number): number[] {
  const clampTo = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
  const from = start < 0 ? start + length : start;
  const to = end < 0 ? end + length : end;
  const positions: number[] = [];
  if (step > 0) {
    const last = clampTo(to, 0, length);
    for (let position = clampTo(from, 0, length); position < last; position += step) positions.push(position);
  } else if (step < 0) {
    const last = clampTo(to, -1, length - 1);
    for (let position = clampTo(from, 0, length - 1); position > last; position += step)
      positions.push(position);
  }
  return positions;
}

/** Positions of an array along an axis, in row-major order. */
export function sliceArray(array: NdArray | undefined, axis: number, positions: readonly number[]): NdArray {
  if (array === undefined) throw new ModelFileError('An operator lacks its input. The file is damaged.');
  const inner = sizeOf(array.shape.slice(axis + 1));
  const outer = sizeOf(array.shape.slice(0, axis));
  const length = array.shape[axis] ?? 0;
  const data = new Float64Array(outer * positions.length * inner);
  let to = 0;
  for (let part = 0; part < outer; part++) {
    for (const position of positions) {
      const from = (part * length + position) * inner;
      for (let index = 0; index < inner; index++) data[to++] = array.data[from + index] ?? 0;
    }
  }
  return { shape: array.shape.map((size, at) => (at === axis ? positions.length : size)), data };
}
