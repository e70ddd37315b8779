/** The facts of the safetensors format that reading and writing share: dtypes, their sizes and order, limits, and tensor sizes. */
import { quoted } from './errors.ts';

/**
 * Every dtype that is read and written, with its bytes per element, in the order of the reference library: from the
 * least to the most strictly aligned. The writer lays tensors out from the last of these to the first.
 */
const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

/** The name of an element type as it stands in a safetensors header. */
export type SafetensorsDtype = keyof typeof elementBytes;

/** One tensor as it lies in a file: little-endian elements in row-major order, without gaps. */
export interface TensorBytes {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Exactly as many bytes as `shape` and `dtype` say. */
  readonly data: Uint8Array;
}

/** Everything that a safetensors file holds. */
export interface SafetensorsFile {
  /** The `__metadata__` of the header, without a prototype; empty where the file has none. */
  readonly metadata: Record<string, string>;
  /** The tensors by name, in the order in which their data lie in the file. */
  readonly tensors: Map<string, TensorBytes>;
}

/** A tensor that a file lists and that was not read. */
export interface UnreadTensor {
  /** Its element type as it stands in the file: `F8_E4M3`. */
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** The header's own length stands before it, as an unsigned 64-bit little-endian number. */
export const headerLengthBytes = 8;

/** The longest header that is read or written, the same as in the reference library. */
export const maximumHeaderBytes = 100_000_000;

/** The most dimensions a tensor may have: LibTorch's own limit, so that a hostile shape cannot fill the memory. */
export const maximumDimensions = 64;

/** The name in the header that is not a tensor. */
export const metadataName = '__metadata__';

const dtypes = Object.keys(elementBytes);

/** The known dtypes as one line for messages. */
export const knownDtypes = dtypes.join(', ');

/** Whether `name` is a dtype that is read and written here. */
export function isSafetensorsDtype(name: string): name is SafetensorsDtype {
  return Object.hasOwn(elementBytes, name);
}

/** Bytes that one element of `dtype` takes. */
export function bytesPerElement(dtype: SafetensorsDtype): number {
  return elementBytes[dtype];
}

/** The place of `dtype` in the reference library's order; a higher place is written earlier. */
export function dtypeRank(dtype: SafetensorsDtype): number {
  return dtypes.indexOf(dtype);
}

/**
 * Bytes that a tensor takes, or `undefined` where they cannot be counted in a safe integer.
 *
 * The dimensions other than 0 must multiply to a safe integer even where a 0 makes the tensor empty: strides are
 * computed from them, and would overflow.
 */
export function tensorByteLength(dtype: SafetensorsDtype, shape: readonly number[]): number | undefined {
  let bytes = bytesPerElement(dtype);
  for (const size of shape) {
    bytes *= size === 0 ? 1 : size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return shape.includes(0) ? 0 : bytes;
}

/** Whether `text` can be written as UTF-8: it has no half of a surrogate pair standing alone. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** A tensor for messages: its name, shape and dtype. */
export function describeTensor(name: string, dtype: string, shape: readonly number[]): string {
  return `tensor ${quoted(name)} of shape [${shape.join(', ')}] and dtype ${dtype}`;
}
