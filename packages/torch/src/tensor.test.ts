/** Tensors from and to typed arrays in every dtype and layout, and what they say when they are used wrongly. */
import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  ArgumentError,
  DisposedTensorError,
  liveTensorCount,
  OperatorError,
  ops,
  tensor,
  Tensor,
  type DType,
  type TypedArray,
} from './index.ts';

const samples: Record<DType, TypedArray> = {
  uint8: new Uint8Array([0, 1, 254, 255, 7, 8]),
  int8: new Int8Array([-128, -1, 0, 1, 2, 127]),
  int16: new Int16Array([-32768, -1, 0, 1, 2, 32767]),
  int32: new Int32Array([-2147483648, -1, 0, 1, 2, 2147483647]),
  int64: new BigInt64Array([-(2n ** 63n), -1n, 0n, 1n, 2n ** 53n + 1n, 2n ** 63n - 1n]),
  float16: new Uint16Array([0x0000, 0x3c00, 0xbc00, 0x7bff, 0x7c00, 0x0001]),
  float32: new Float32Array([0, -0, 1.5, -Infinity, NaN, 1e-45]),
  float64: new Float64Array([0, -0, 1.5, Infinity, NaN, 5e-324]),
  bool: new Uint8Array([0, 1, 1, 0, 1, 0]),
  bfloat16: new Uint16Array([0x0000, 0x3f80, 0xbf80, 0x7f80, 0x7fc0, 0x0001]),
};

/** The raw memory, so that NaN and the sign of zero count. */
function bytesOf(array: TypedArray): number[] {
  return Array.from(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
}

describe.each(Object.keys(samples) as DType[])('dtype %s', (dtype) => {
  const data = samples[dtype];

  test('comes back bit for bit, copied or shared', () => {
    for (const make of ['fromTypedArray', 'wrapTypedArray'] as const) {
      const x = Tensor[make](data, [2, 3], dtype);
      expect(x.dtype).toBe(dtype);
      expect(x.shape).toEqual([2, 3]);
      const back = x.toTypedArray();
      expect(back.constructor).toBe(data.constructor);
      expect(back.buffer).not.toBe(data.buffer);
      expect(bytesOf(back)).toEqual(bytesOf(data));
    }
  });

  test('is read row by row from a transposed tensor', () => {
    const turned = Tensor.fromTypedArray(data, [2, 3], dtype).t();
    expect(turned.shape).toEqual([3, 2]);
    expect(turned.strides).toEqual([1, 3]);
    expect(turned.hasMemoryFormat('contiguous')).toBe(false);
    const expected = [0, 3, 1, 4, 2, 5].flatMap((index) => bytesOf(data.slice(index, index + 1)));
    expect(bytesOf(turned.toTypedArray())).toEqual(expected);
  });

  test('may be empty or without dimensions', () => {
    const empty = Tensor.fromTypedArray(data.slice(0, 0), [0, 4], dtype);
    expect(empty.shape).toEqual([0, 4]);
    expect(empty.numel).toBe(0);
    expect(empty.toTypedArray()).toHaveLength(0);
    expect(empty.toNumbers()).toEqual([]);
    const single = Tensor.fromTypedArray(data.slice(1, 2), [], dtype);
    expect(single.shape).toEqual([]);
    expect(single.numel).toBe(1);
    expect(single.item()).toBe(single.toNumbers()[0]);
  });

  test('converts to every other dtype and back', () => {
    const x = tensor([0, 1, 1, 0], dtype);
    for (const other of Object.keys(samples) as DType[]) {
      expect(x.to(other).dtype).toBe(other);
      expect(x.to(other).to(dtype).toNumbers()).toEqual([0, 1, 1, 0]);
    }
  });
});

describe('values', () => {
  test('halves are widened for toNumbers, raw in toTypedArray', () => {
    const x = tensor([1, -2, 0.5], 'bfloat16');
    expect(x.toNumbers()).toEqual([1, -2, 0.5]);
    expect(x.toTypedArray()).toEqual(new Uint16Array([0x3f80, 0xc000, 0x3f00]));
    expect(tensor([1], 'float16').toTypedArray()).toEqual(new Uint16Array([0x3c00]));
  });

  test('an int64 too large for a number is refused by toNumbers, exact in toTypedArray', () => {
    const x = Tensor.fromTypedArray(new BigInt64Array([2n ** 53n]));
    expect(() => x.toNumbers()).toThrow(/9007199254740992n is too large for a number. Use toTypedArray/);
    expect(x.toTypedArray()).toEqual(new BigInt64Array([2n ** 53n]));
  });

  test('channels-last and sliced tensors are read in their logical order', () => {
    const x = ops.arange(24, { dtype: 'float32' }).view([1, 2, 3, 4]);
    const last = x.contiguous({ memoryFormat: 'channelsLast' });
    expect(last.hasMemoryFormat('channelsLast')).toBe(true);
    expect(last.toNumbers()).toEqual(x.toNumbers());
    const every = x.flatten().slice(0, 1, 24, 5);
    expect(every.toNumbers()).toEqual([1, 6, 11, 16, 21]);
    expect(ops.ones([1]).expand([3]).toNumbers()).toEqual([1, 1, 1]);
    expect(tensor([[0, 3], [4, 0]]).toSparse().toNumbers()).toEqual([0, 3, 4, 0]); // prettier-ignore
  });

  test('complex tensors have no typed array and say so', () => {
    const complex = ops.complex(tensor([1]), tensor([2]));
    expect(() => complex.dtype).toThrow(
      /scalar type 9 has no name here. Convert it first, e.g. with x.viewAsReal/,
    );
    expect(() => complex.toTypedArray()).toThrow(ArgumentError);
    expect(complex.viewAsReal().toNumbers()).toEqual([1, 2]);
    expect(String(complex)).toBe('Tensor scalar type 9 [1]');
  });

  test('item needs exactly one element', () => {
    expect(tensor([[7]]).item()).toBe(7);
    expect(tensor(1, 'bool').item()).toBe(1);
    expect(() => tensor([1, 2]).item()).toThrow(OperatorError);
  });

  test('is shown with its dtype and shape', () => {
    expect(String(tensor([[1, 2, 3]]))).toBe('Tensor float32 [1, 3]');
  });
});

describe('wrapTypedArray', () => {
  test('shares memory in both directions', () => {
    const array = new Float32Array([1, 2, 3, 4]);
    const x = Tensor.wrapTypedArray(array, [2, 2]);
    array[3] = 40;
    expect(x.toNumbers()).toEqual([1, 2, 3, 40]);
    x.mul_(2);
    expect(Array.from(array)).toEqual([2, 4, 6, 80]);
  });

  test('starts where the array starts in its buffer', () => {
    const whole = new Float32Array([0, 1, 2, 3]);
    const x = Tensor.wrapTypedArray(whole.subarray(1, 3));
    x.add_(10);
    expect(Array.from(whole)).toEqual([0, 11, 12, 3]);
  });

  test('keeps the buffer from being transferred away under the tensor', () => {
    const array = new Float32Array([5, 6]);
    const x = Tensor.wrapTypedArray(array);
    try {
      structuredClone(array.buffer, { transfer: [array.buffer] });
    } catch {
      // Newer versions of Node throw where older ones copy.
    }
    expect(array).toHaveLength(2);
    expect(x.toNumbers()).toEqual([5, 6]);
  });

  test('refuses memory that may change under it', () => {
    const resizable: unknown = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 64 }]);
    expect(() => Tensor.wrapTypedArray(new Float32Array(resizable as ArrayBuffer))).toThrow(
      /resizable or shared/,
    );
    expect(() => Tensor.wrapTypedArray(new Float32Array(new SharedArrayBuffer(8)))).toThrow(
      /Use fromTypedArray/,
    );
    expect(Tensor.fromTypedArray(new Float32Array(new SharedArrayBuffer(8))).toNumbers()).toEqual([0, 0]);
  });
});

describe('wrong arrays', () => {
  test.each([
    [[2, 2], /shape \[2, 2\] holds 4 elements, but the array has 3/],
    [[-3, -1], /shape \[-3, -1\] holds 3 elements/],
    [[1.5, 2], ArgumentError],
    [[NaN], ArgumentError],
    [[2 ** 60, 0], ArgumentError],
  ])('shape %j is refused', (shape, message) => {
    expect(() => Tensor.fromTypedArray(new Float32Array(3), shape)).toThrow(message);
  });

  test('a dtype that the array cannot carry is refused, not reinterpreted', () => {
    expect(() => Tensor.fromTypedArray(new Int32Array(2), [2], 'float32')).toThrow(
      "fromTypedArray: dtype 'float32' is carried by a Float32Array, but the array is a Int32Array. Leave out the dtype and convert with tensor.to('float32') afterwards.",
    );
    expect(() => Tensor.fromTypedArray(new Float64Array(2), [2], 'int64')).toThrow(/BigInt64Array/);
    expect(() => Tensor.fromTypedArray(new Uint16Array(2))).toThrow(/'float16' or 'bfloat16'/);
    expect(() => Tensor.fromTypedArray(new Uint8Array([0, 2]), [2], 'bool')).toThrow(
      /the bytes 0 and 1 only/,
    );
    expect(Tensor.fromTypedArray(new Uint8ClampedArray([300])).toNumbers()).toEqual([255]);
  });

  test('what TypeScript would not let through is a typed error too', () => {
    // @ts-expect-error -- a list of numbers is what tensor() takes
    expect(() => Tensor.fromTypedArray([1, 2])).toThrow(ArgumentError);
    // @ts-expect-error -- LibTorch has no unsigned 32-bit type
    expect(() => Tensor.fromTypedArray(new Uint32Array(2))).toThrow(ArgumentError);
    // @ts-expect-error -- a dtype must be one of the names
    const wrong = (): Tensor => Tensor.fromTypedArray(new Float32Array(1), [1], 'float');
    expect(wrong).toThrow(/dtype 'float' says no element type/);
  });
});

describe('tensor()', () => {
  test('takes nested lists', () => {
    expect(tensor([[[1], [2]]]).shape).toEqual([1, 2, 1]);
    expect(tensor([]).shape).toEqual([0]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
    expect(tensor(3).shape).toEqual([]);
    expect(tensor([2 ** 53 - 1], 'int64').toNumbers()).toEqual([2 ** 53 - 1]);
  });

  test.each([
    [[[1, 2], [3]]],
    [[1, [2]]],
    [[[1], 2]],
    [
      [
        [1, 2],
        [3, [4]],
      ],
    ],
  ])('refuses %j as ragged', (values) => {
    expect(() => tensor(values)).toThrow(/ragged: the first rows say shape/);
  });

  test.each([
    [undefined, 'got undefined'],
    [null, 'got null'],
    [['a'], "got 'a'"],
    [[1, true], 'got true'],
    ['12', "got '12'"],
    [[[1], null], 'got null'],
  ])('refuses %j, which is no number', (values, reason) => {
    const make = (): unknown => Reflect.apply(tensor, null, [values]);
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(reason);
  });

  test('refuses a list that holds itself, and element types that there are not', () => {
    const circular: unknown[] = [];
    circular.push(circular);
    expect((): unknown => Reflect.apply(tensor, null, [circular])).toThrow(/nested 64 deep, got more/);
    expect((): unknown => Reflect.apply(tensor, null, [[1], 'float99'])).toThrow(
      /there is no element type 'float99'\. Choose one of uint8, /,
    );
    expect((): unknown => Reflect.apply(tensor, null, [[1], { dtype: 'int64' }])).toThrow(ArgumentError);
  });

  test('refuses fractions where only whole numbers fit', () => {
    expect(() => tensor([1, 2.5], 'int64')).toThrow("dtype 'int64' takes whole numbers, got 2.5");
    expect(() => tensor([NaN], 'uint8')).toThrow(ArgumentError);
  });
});

describe('after dispose', () => {
  const uses: Record<string, (x: Tensor) => unknown> = {
    shape: (x) => x.shape,
    strides: (x) => x.strides,
    numel: (x) => x.numel,
    dtype: (x) => x.dtype,
    device: (x) => x.device,
    hasMemoryFormat: (x) => x.hasMemoryFormat('contiguous'),
    requiresGrad: (x) => x.requiresGrad,
    'requiresGrad =': (x) => (x.requiresGrad = true),
    isLeaf: (x) => x.isLeaf,
    grad: (x) => x.grad,
    'grad =': (x) => (x.grad = null),
    'grad = released': (x) => (tensor(1).grad = x),
    setData: (x) => x.setData(tensor(1)),
    'setData(released)': (x) => tensor(1).setData(x),
    alias: (x) => x.alias(),
    backward: (x) => {
      x.backward();
    },
    toTypedArray: (x) => x.toTypedArray(),
    toNumbers: (x) => x.toNumbers(),
    item: (x) => x.item(),
    add: (x) => x.add(1),
    'add(released)': (x) => tensor(1).add(x),
    add_: (x) => x.add_(1),
    cat: (x) => ops.cat([tensor([1]), x]),
    'out=': (x) => ops.add(tensor(1), 1, { out: x }),
  };

  test.each(Object.keys(uses))('%s throws and says what to do', (name) => {
    const x = tensor([1]);
    x.dispose();
    const use = (): unknown => uses[name]?.(x);
    expect(use).toThrow(DisposedTensorError);
    expect(use).toThrow(
      /was released. Return it from its scope\(\), keep\(\) it, or dispose of it after its last use/,
    );
  });

  test('the error names the operation; a second dispose does nothing; the text form survives', () => {
    const x = tensor([1]);
    const before = liveTensorCount();
    x.dispose();
    x.dispose();
    expect(liveTensorCount()).toBe(before - 1);
    expect(() => x.toTypedArray()).toThrow(/^toTypedArray: this tensor was released/);
    expect(() => x.softmax(0)).toThrow(/^softmax: an argument \(a tensor\) was released/);
    expect(String(x)).toBe('Tensor (released)');
  });

  test('views keep the memory alive', () => {
    const x = tensor([1, 2, 3, 4]);
    const row = x.view([2, 2]).select(0, 1);
    x.dispose();
    expect(row.toNumbers()).toEqual([3, 4]);
  });
});

test('the types say what comes back', () => {
  const x = tensor([[1, 2]]);
  expectTypeOf(x.add(1)).toEqualTypeOf<Tensor>();
  expectTypeOf(x.max(1)).toEqualTypeOf<[Tensor, Tensor]>();
  expectTypeOf(x.unbind(0)).toEqualTypeOf<Tensor[]>();
  expectTypeOf(x.allclose(x)).toEqualTypeOf<boolean>();
  expectTypeOf(x.grad).toEqualTypeOf<Tensor | null>();
  expectTypeOf(x.shape).toEqualTypeOf<readonly number[]>();
  expectTypeOf(x.to('float64')).toEqualTypeOf<Tensor>();
  expectTypeOf(x.view([1, 1, 1, 2]).contiguous({ memoryFormat: 'channelsLast' })).toEqualTypeOf<Tensor>();
  expectTypeOf(ops.linear(x, x, null)).toEqualTypeOf<Tensor>();
  // @ts-expect-error -- a dtype must be one of the names
  expect(() => x.to('float')).toThrow(ArgumentError);
  // @ts-expect-error -- a keyword must exist
  expect(() => x.sum({ dimension: 1 })).toThrow(ArgumentError);
});
