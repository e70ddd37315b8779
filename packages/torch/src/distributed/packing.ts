/** Tensors side by side in one buffer of bytes, so that what one rank tells another crosses in a single message. */
import { dtypes, type DType } from '../dtype.ts';
import { ArgumentError } from '../errors.ts';
import { ops, type Tensor } from '../tensor.ts';

/** What a tensor in a buffer is. */
export interface TensorShape {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** How many bytes tensors of these shapes take. */
export function packedBytes(shapes: readonly TensorShape[]): number {
  return shapes.reduce((sum, shape) => sum + bytesOf(shape), 0);
}

/** Copies tensors into one buffer, uint8 `[bytes]`. */
export function packTensors(tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 0) return ops.zeros([0], { dtype: 'uint8' });
  const parts = inOrder(tensors).map((place) => {
    const tensor = tensors[place];
    if (tensor === undefined) throw new ArgumentError('packTensors', `there is no tensor ${place}.`);
    return tensor.detach().contiguous().reshape([-1]).view('uint8');
  });
  return ops.cat(parts, 0);
}

/**
 * The tensors of a buffer as `packTensors` made it, in the order of `shapes`; they share its memory.
 *
 * @throws {ArgumentError} for a buffer of another length
 */
export function unpackTensors(buffer: Tensor, shapes: readonly TensorShape[]): Tensor[] {
  const expected = packedBytes(shapes);
  if (buffer.numel !== expected) {
    throw new ArgumentError(
      'unpackTensors',
      `expected a buffer of ${expected} bytes for these shapes, got ${buffer.numel}.`,
    );
  }
  const unpacked = new Map<number, Tensor>();
  let start = 0;
  for (const place of inOrder(shapes)) {
    const shape = shapes[place];
    if (shape === undefined) continue;
    const bytes = bytesOf(shape);
    unpacked.set(
      place,
      buffer
        .narrow(0, start, bytes)
        .view(shape.dtype)
        .reshape([...shape.shape]),
    );
    start += bytes;
  }
  return shapes.map((_, place) => {
    const tensor = unpacked.get(place);
    if (tensor === undefined) throw new ArgumentError('unpackTensors', `there is no tensor ${place}.`);
    return tensor;
  });
}

function bytesOf({ dtype, shape }: TensorShape): number {
  return dtypes[dtype].bytes * shape.reduce((product, size) => product * size, 1);
}

/** Places with wide elements first: each tensor then starts at a multiple of its own element's width. */
function inOrder(shapes: readonly TensorShape[]): number[] {
  const width = (place: number): number => dtypes[shapes[place]?.dtype ?? 'uint8'].bytes;
  return shapes.map((_, place) => place).sort((left, right) => width(right) - width(left) || left - right);
}
