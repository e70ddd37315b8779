/** NumPy's arrays, scalars and element types as pickles hold them, kept as the bytes that they are. */
import type { AllowedGlobals, ConstructorContext, PickleConstructor } from './globals.ts';
import { PickledObject, type PickleValue } from './values.ts';

/** Element types by NumPy's short names: kind and bytes. */
const typeNames = {
  b1: 'bool',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
} as const;

/** Name of an element type of numbers. */
export type NumpyTypeName = (typeof typeNames)[keyof typeof typeNames];

function isTypeCode(code: string): code is keyof typeof typeNames {
  return Object.hasOwn(typeNames, code);
}

/** An element type: of numbers, or one that is only known by its code (text, objects, dates, records). */
export class NumpyDtype extends PickledObject {
  /** NumPy's code without byte order: `u1`, `f4`, `U12`, `O8`. */
  readonly code: string;
  /** Name of the element type; null when it is not one of numbers. */
  readonly typeName: NumpyTypeName | null;
  /** Bytes of an element; 0 when it is not a number. */
  readonly itemBytes: number;
  littleEndian: boolean;

  constructor(code: string) {
    super('numpy.dtype');
    this.code = code.replace(/^[<>=|]/, '');
    this.typeName = isTypeCode(this.code) ? typeNames[this.code] : null;
    this.itemBytes = this.typeName === null ? 0 : Number(this.code.slice(1));
    this.littleEndian = !code.startsWith('>');
  }

  /** What `__setstate__` takes: `(version, byte order, ...)`. */
  setState(state: PickleValue, context: ConstructorContext): void {
    const order = Array.isArray(state) ? state[1] : undefined;
    if (typeof order !== 'string' || !['<', '>', '|', '='].includes(order)) {
      throw context.malformed('the byte order of an element type', 'another value');
    }
    this.littleEndian = order !== '>';
  }
}

/** An array: its shape, its element type and its bytes, which are exactly as many as shape and type say. */
export class NumpyArray extends PickledObject {
  shape: readonly number[] = [0];
  dtype = new NumpyDtype('u1');
  /** True when the first index runs fastest, as in Fortran. */
  isFortranOrder = false;
  /** The elements, in `dtype`'s byte order; a view of the file's bytes, not to be written to. */
  data: Uint8Array = new Uint8Array(0);

  constructor() {
    super('numpy.ndarray');
  }

  /** What `__setstate__` takes: `(version, shape, dtype, is Fortran, bytes)`, or the same without the version. */
  setState(state: PickleValue, context: ConstructorContext): void {
    const fields = Array.isArray(state) ? state.slice(-4) : [];
    const [shape, dtype, isFortranOrder, data] = fields;
    this.fill(shape, dtype, isFortranOrder === true || isFortranOrder === 1, data, context);
  }

  fill(
    shape: PickleValue | undefined,
    dtype: PickleValue | undefined,
    isFortranOrder: boolean,
    data: PickleValue | undefined,
    context: ConstructorContext,
  ): void {
    if (!(dtype instanceof NumpyDtype)) throw context.malformed('an array with an element type', 'none');
    if (dtype.typeName === null) {
      throw context.unsupported('an array of numbers', `a NumPy array of element type ${dtype.code}`);
    }
    const sizes = sizesOf(shape, context);
    const bytes = bytesOf(data, context);
    const expected = sizes.reduce((product, size) => product * size, dtype.itemBytes);
    if (bytes.length !== expected) {
      throw context.malformed(
        `${expected} bytes for an array of ${dtype.typeName} [${sizes.join(', ')}]`,
        `${bytes.length}`,
      );
    }
    this.shape = sizes;
    this.dtype = dtype;
    this.isFortranOrder = isFortranOrder;
    this.data = bytes;
  }
}

function sizesOf(shape: PickleValue | undefined, context: ConstructorContext): number[] {
  const sizes = Array.isArray(shape) && shape.length <= 64 ? shape : null;
  if (sizes?.every((size) => typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) !== true) {
    throw context.malformed('a shape of at most 64 whole numbers', 'another value');
  }
  return sizes.map(Number);
}

/** Python 2 wrote the bytes of arrays as a `str`, which is text here. */
function bytesOf(data: PickleValue | undefined, context: ConstructorContext): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (typeof data !== 'string') throw context.malformed("an array's bytes", 'another value');
  context.spend(data.length);
  return new Uint8Array(Buffer.from(data, 'latin1'));
}

const reconstruct: PickleConstructor = {
  call: ([type], context) => {
    if (!(type instanceof PickledObject) || type.global !== 'numpy.ndarray') {
      throw context.unsupported('a plain NumPy array', 'an array of a class of its own');
    }
    return new NumpyArray();
  },
};

/** `_frombuffer(bytes, dtype, shape, order)`: arrays of protocol 5. */
const fromBuffer: PickleConstructor = {
  call: ([data, dtype, shape, order], context) => {
    const array = new NumpyArray();
    array.fill(shape, dtype, order === 'F', data, context);
    return array;
  },
};

const dtype: PickleConstructor = {
  call: ([code], context) => {
    if (typeof code !== 'string' || !/^[<>=|]?[a-zA-Z]\d{0,9}$/.test(code)) {
      throw context.unsupported('an element type such as u1 or f4', 'a NumPy element type of another form');
    }
    return new NumpyDtype(code);
  },
};

/** `scalar(dtype, bytes)`: becomes a plain number. */
const scalar: PickleConstructor = {
  call: ([type, data], context) => {
    const array = new NumpyArray();
    array.fill([], type, false, data, context);
    const view = new DataView(array.data.buffer, array.data.byteOffset, array.data.byteLength);
    const { typeName, littleEndian } = array.dtype;
    switch (typeName) {
      case 'bool':
        return view.getUint8(0) !== 0;
      case 'uint8':
        return view.getUint8(0);
      case 'int8':
        return view.getInt8(0);
      case 'uint16':
        return view.getUint16(0, littleEndian);
      case 'int16':
        return view.getInt16(0, littleEndian);
      case 'uint32':
        return view.getUint32(0, littleEndian);
      case 'int32':
        return view.getInt32(0, littleEndian);
      case 'uint64':
        return view.getBigUint64(0, littleEndian);
      case 'int64':
        return view.getBigInt64(0, littleEndian);
      case 'float32':
        return view.getFloat32(0, littleEndian);
      case 'float64':
        return view.getFloat64(0, littleEndian);
      case 'float16':
      case null:
        return array;
    }
  },
};

/** Both of NumPy's spellings of its inner package, before and from version 2. */
const cores = ['numpy.core', 'numpy._core'];

/** NumPy's arrays, scalars and element types. */
export const numpyGlobals: AllowedGlobals = new Map<string, PickleConstructor>([
  ['numpy.ndarray', {}],
  ['numpy.dtype', dtype],
  ...cores.flatMap((core): [string, PickleConstructor][] => [
    [`${core}.multiarray._reconstruct`, reconstruct],
    [`${core}.multiarray.scalar`, scalar],
    [`${core}.numeric._frombuffer`, fromBuffer],
  ]),
]);
