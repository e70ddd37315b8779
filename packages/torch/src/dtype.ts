/** Element types: their names, LibTorch's codes for them, their width and the typed array that carries them. */

/** Element type of a tensor. */
export type DType =
  'uint8' | 'int8' | 'int16' | 'int32' | 'int64' | 'float16' | 'float32' | 'float64' | 'bool' | 'bfloat16';

/** How the elements of a 4-D tensor lie in memory. */
export type MemoryFormat = 'contiguous' | 'preserve' | 'channelsLast' | 'channelsLast3d';

/** Storage layout. */
export type Layout = 'strided' | 'sparse' | 'mkldnn';

/** Typed arrays that tensors are made from and read into. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Uint8ClampedArray
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array;

/** The typed array of each dtype. `float16` and `bfloat16` are raw bits: use `toNumbers()` for their values. */
export interface TypedArrayOf {
  uint8: Uint8Array<ArrayBuffer>;
  int8: Int8Array<ArrayBuffer>;
  int16: Int16Array<ArrayBuffer>;
  int32: Int32Array<ArrayBuffer>;
  int64: BigInt64Array<ArrayBuffer>;
  float16: Uint16Array<ArrayBuffer>;
  float32: Float32Array<ArrayBuffer>;
  float64: Float64Array<ArrayBuffer>;
  bool: Uint8Array<ArrayBuffer>;
  bfloat16: Uint16Array<ArrayBuffer>;
}

interface DTypeInfo<Name extends DType> {
  /** Number of the type in `c10::ScalarType`. */
  readonly code: number;
  readonly bytes: number;
  readonly allocate: (length: number) => TypedArrayOf[Name];
}

/** Everything known of each dtype. */
export const dtypes: { readonly [Name in DType]: DTypeInfo<Name> } = {
  uint8: { code: 0, bytes: 1, allocate: (length) => new Uint8Array(length) },
  int8: { code: 1, bytes: 1, allocate: (length) => new Int8Array(length) },
  int16: { code: 2, bytes: 2, allocate: (length) => new Int16Array(length) },
  int32: { code: 3, bytes: 4, allocate: (length) => new Int32Array(length) },
  int64: { code: 4, bytes: 8, allocate: (length) => new BigInt64Array(length) },
  float16: { code: 5, bytes: 2, allocate: (length) => new Uint16Array(length) },
  float32: { code: 6, bytes: 4, allocate: (length) => new Float32Array(length) },
  float64: { code: 7, bytes: 8, allocate: (length) => new Float64Array(length) },
  bool: { code: 11, bytes: 1, allocate: (length) => new Uint8Array(length) },
  bfloat16: { code: 15, bytes: 2, allocate: (length) => new Uint16Array(length) },
};

const namesByCode = new Map(
  (Object.keys(dtypes) as DType[]).map((name): [number, DType] => [dtypes[name].code, name]),
);

/** Name of LibTorch's scalar type `code`; `undefined` for complex and quantised types, which have no typed array. */
export function dtypeOfCode(code: number): DType | undefined {
  return namesByCode.get(code);
}

/** The dtype that a typed array carries; `undefined` for `Uint16Array` (raw bits of either half type) and all others. */
export function dtypeOfArray(array: TypedArray): DType | undefined {
  if (array instanceof Float32Array) return 'float32';
  if (array instanceof Float64Array) return 'float64';
  if (array instanceof Uint8Array || array instanceof Uint8ClampedArray) return 'uint8';
  if (array instanceof Int8Array) return 'int8';
  if (array instanceof Int16Array) return 'int16';
  if (array instanceof Int32Array) return 'int32';
  if (array instanceof BigInt64Array) return 'int64';
  return undefined;
}
