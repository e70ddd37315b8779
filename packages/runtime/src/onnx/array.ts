/** Arrays of any rank: the constants of a model file, and small values between operators. */
import { ModelFileError, UnsupportedOperatorError } from '../errors.ts';

/** Element types that the runtime reads. */
export type ElementType = 'float32' | 'float16' | 'float64' | 'int8' | 'uint8' | 'int32' | 'int64' | 'bool';

/** Values in row-major order. Integers of 64 bits are kept as numbers; float16 is kept as float32. */
export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int8Array | Uint8Array | Int32Array;
}

const onnxTypes: Readonly<Record<number, ElementType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'float64',
};

const elementBytes: Readonly<Record<ElementType, number>> = {
  float32: 4,
  float16: 2,
  float64: 8,
  int8: 1,
  uint8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
};

/** ONNX's number of a type, `TensorProto.DataType`. @throws {UnsupportedOperatorError} for any that is not read */
export function elementType(onnxType: number): ElementType {
  const type = onnxTypes[onnxType];
  if (type === undefined) throw new UnsupportedOperatorError(`Tensor of data type ${onnxType}`);
  return type;
}

/** How many values a shape holds. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Little-endian bytes as values. @throws {ModelFileError} where their number does not fit the shape */
export function fromBytes(type: ElementType, shape: readonly number[], bytes: Uint8Array): NdArray {
  const count = sizeOf(shape);
  if (bytes.length !== count * elementBytes[type]) {
    throw new ModelFileError(
      `A tensor of shape [${shape.join(', ')}] has ${bytes.length} bytes in place of ${count * elementBytes[type]}. The file is damaged: copy or export it again.`,
    );
  }
  const buffer = bytes.slice().buffer;
  if (type === 'float32') return { shape, data: new Float32Array(buffer) };
  if (type === 'float64') return { shape, data: new Float64Array(buffer) };
  if (type === 'int8') return { shape, data: new Int8Array(buffer) };
  if (type === 'uint8' || type === 'bool') return { shape, data: new Uint8Array(buffer) };
  if (type === 'int32') return { shape, data: new Int32Array(buffer) };
  if (type === 'float16') return { shape, data: fromHalves(new Uint16Array(buffer)) };
  return { shape, data: Float64Array.from(new BigInt64Array(buffer), Number) };
}

/** Through a table of all 65,536 values where there are many. */
function fromHalves(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  if (halves.length < 4096) {
    for (let index = 0; index < values.length; index++) values[index] = float16(halves[index] ?? 0);
    return values;
  }
  halfTable ??= Float32Array.from({ length: 65_536 }, (_, bits) => float16(bits));
  for (let index = 0; index < values.length; index++) values[index] = halfTable[halves[index] ?? 0] ?? 0;
  return values;
}

let halfTable: Float32Array | undefined;

/** IEEE 754 half precision, exactly. */
export function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The same values as float32. */
export function asFloat32(array: NdArray): Float32Array {
  return array.data instanceof Float32Array ? array.data : Float32Array.from(array.data);
}
