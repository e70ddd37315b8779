/** Makes tensors from nested lists of numbers, such as a matrix as its rows. */
import { inspect } from 'node:util';
import { dtypes, type DType } from './dtype.ts';
import { ArgumentError } from './errors.ts';
import { Tensor } from './tensor.ts';

/** Nested lists of numbers, e.g. a matrix as rows. */
export type NestedNumbers = number | readonly NestedNumbers[];

/**
 * A tensor from nested lists of numbers.
 *
 * @param dtype element type, default float32
 * @throws {ArgumentError} for ragged lists, anything but numbers in them, and element types that there are not
 */
export function tensor(values: NestedNumbers, dtype: DType = 'float32'): Tensor {
  if (!Object.hasOwn(dtypes, dtype)) {
    throw new ArgumentError(
      'tensor',
      `there is no element type ${inspect(dtype)}. Choose one of ${Object.keys(dtypes).join(', ')}.`,
    );
  }
  const shape: number[] = [];
  for (let level: unknown = values; isList(level); level = level[0]) {
    if (shape.length === mostDimensions) {
      throw new ArgumentError(
        'tensor',
        `lists may be nested ${mostDimensions} deep, got more. Look for a list that holds itself.`,
      );
    }
    shape.push(level.length);
  }
  const flat: number[] = [];
  const collect = (level: unknown, depth: number): void => {
    if (typeof level === 'number') {
      if (depth !== shape.length) throw raggedLists(shape);
      flat.push(level);
      return;
    }
    if (!isList(level)) {
      throw new ArgumentError(
        'tensor',
        `takes numbers and lists of numbers, got ${inspect(level)}. Convert it to a number first.`,
      );
    }
    if (depth >= shape.length) throw raggedLists(shape);
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

/** As many as LibTorch's tensors have. */
const mostDimensions = 64;

function isList(value: unknown): value is ArrayLike<unknown> & Iterable<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function raggedLists(shape: readonly number[]): ArgumentError {
  return new ArgumentError(
    'tensor',
    `the lists are ragged: the first rows say shape [${shape.join(', ')}], others differ. Give every row the same length.`,
  );
}
