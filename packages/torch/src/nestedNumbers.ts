/** Makes tensors from nested lists of numbers, such as a matrix as its rows. */
import type { DType } from './dtype.ts';
import { ArgumentError } from './errors.ts';
import { Tensor } from './tensor.ts';

/** Nested lists of numbers, e.g. a matrix as rows. */
export type NestedNumbers = number | readonly NestedNumbers[];

/**
 * A tensor from nested lists of numbers.
 *
 * @param dtype element type, default float32
 * @throws {ArgumentError} when the lists are ragged.
 */
export function tensor(values: NestedNumbers, dtype: DType = 'float32'): Tensor {
  const shape: number[] = [];
  for (let level: NestedNumbers | undefined = values; typeof level === 'object'; level = level[0]) {
    shape.push(level.length);
  }
  const flat: number[] = [];
  const collect = (level: NestedNumbers, depth: number): void => {
    if (typeof level === 'number') {
      if (depth !== shape.length) throw raggedLists(shape);
      flat.push(level);
      return;
    }
    if (level.length !== shape[depth]) throw raggedLists(shape);
    for (const item of level) collect(item, depth + 1);
  };
  collect(values, 0);
  const fraction = dtype.includes('int') ? flat.find((value) => !Number.isInteger(value)) : undefined;
  if (fraction !== undefined) {
    throw new ArgumentError(
      'tensor',
      `dtype '${dtype}' takes whole numbers, got ${fraction}. Round it first.`,
    );
  }
  const wide = Tensor.fromTypedArray(
    dtype === 'int64' ? BigInt64Array.from(flat, BigInt) : Float64Array.from(flat),
    shape,
  );
  if (wide.dtype === dtype) return wide;
  try {
    return wide.to(dtype);
  } finally {
    wide.dispose();
  }
}

function raggedLists(shape: readonly number[]): ArgumentError {
  return new ArgumentError(
    'tensor',
    `the lists are ragged: the first rows say shape [${shape.join(', ')}], others differ. Give every row the same length.`,
  );
}
