/** Overload resolution, keyword arguments, results and errors of the dispatcher binding, on operators of every shape. */
import { describe, expect, test } from 'vitest';
import { operatorEntries } from './dispatch.ts';
import {
  allowInternalOperators,
  ArgumentError,
  Generator,
  liveTensorCount,
  OperatorError,
  ops,
  OutOfMemoryError,
  scope,
  tensor,
  Tensor,
  TorchError,
} from './index.ts';

const matrix = (): Tensor => tensor([[1, 2, 3], [4, 5, 6]]); // prettier-ignore

/** Calls an operator past the type checker, as plain JavaScript may. */
function untyped(operator: string, ...values: unknown[]): unknown {
  const functions: object = ops;
  const call: unknown = Reflect.get(functions, operator);
  if (typeof call !== 'function') throw new Error(`there is no operator ${operator}`);
  return Reflect.apply(call, undefined, values);
}

describe('overloads follow the argument types', () => {
  test('tensor or scalar', () => {
    const x = tensor([1, 2]);
    expect(x.add(tensor([10, 20])).toNumbers()).toEqual([11, 22]);
    expect(x.add(10).toNumbers()).toEqual([11, 12]);
    expect(x.add(0.5).toNumbers()).toEqual([1.5, 2.5]);
    expect(x.pow(2).toNumbers()).toEqual([1, 4]);
    expect(ops.pow(2, x).toNumbers()).toEqual([2, 4]);
    expect(ops.pow(x, x).toNumbers()).toEqual([1, 4]);
    expect(x.eq(2).toNumbers()).toEqual([0, 1]);
    expect(x.mul(true).toNumbers()).toEqual([1, 2]);
  });

  test('whole numbers keep an integer dtype, fractions promote it, as in PyTorch', () => {
    const x = tensor([1, 2], 'int64');
    expect(x.mul(2).dtype).toBe('int64');
    expect(x.mul(1.5).dtype).toBe('float32');
    expect(x.div(2).dtype).toBe('float32');
    expect(x.gt(1).dtype).toBe('bool');
    expect(ops.full([2], 7).dtype).toBe('int64');
    expect(ops.full([2], 7, { dtype: 'float32' }).dtype).toBe('float32');
    expect(ops.full([1], -0).toTypedArray()).toEqual(new Float32Array([-0]));
  });

  test('one dimension, several, or none', () => {
    expect(matrix().sum().toNumbers()).toEqual([21]);
    expect(matrix().sum(1).toNumbers()).toEqual([6, 15]);
    expect(matrix().sum([0, 1]).toNumbers()).toEqual([21]);
    expect(matrix().sum([1], true).shape).toEqual([2, 1]);
    expect(matrix().sum(null).toNumbers()).toEqual([21]);
    expect(matrix().max().toNumbers()).toEqual([6]);
    expect(matrix().max(0).map((result) => result.toNumbers())).toEqual([[4, 5, 6], [1, 1, 1]]); // prettier-ignore
    expect(matrix().max(tensor(3)).toNumbers()).toEqual([3, 3, 3, 4, 5, 6]);
  });

  test('one number, or a list of one, stands for int[2]', () => {
    const x = ops.arange(16, { dtype: 'float32' }).view([1, 1, 4, 4]);
    const full = x.maxPool2d([2, 2], [2, 2]).toNumbers();
    expect(full).toEqual([5, 7, 13, 15]);
    expect(x.maxPool2d(2).toNumbers()).toEqual(full);
    expect(x.maxPool2d([2]).toNumbers()).toEqual(full);
    expect(x.adaptiveAvgPool2d(1).toNumbers()).toEqual([7.5]);
    expect(x.maxPool2d(2, []).toNumbers()).toEqual(full);
  });

  test('strings are dtypes, devices, memory formats or text, as the schema has it', () => {
    const x = tensor([[1.5]]);
    expect(x.to('float64').dtype).toBe('float64');
    expect(x.to({ device: 'cpu' }).device).toBe('cpu');
    expect(x.to('cpu', 'int64').dtype).toBe('int64');
    expect(x.to({ dtype: 'int32' }).dtype).toBe('int32');
    expect(ops.einsum('ij,kj->ik', [matrix(), matrix()]).toNumbers()).toEqual([14, 32, 32, 77]);
    expect(x.div(2, { roundingMode: 'floor' }).toNumbers()).toEqual([0]);
    expect(ops.empty([1, 2, 3, 3], { memoryFormat: 'channelsLast' }).hasMemoryFormat('channelsLast')).toBe(
      true,
    );
    expect(ops.zeros([2], { layout: 'strided', device: 'cpu' }).toNumbers()).toEqual([0, 0]);
    const image = ops.ones([1, 1, 4, 4]);
    expect(ops.conv2d(image, ops.ones([1, 1, 3, 3]), null, 1, 'same').shape).toEqual([1, 1, 4, 4]);
  });

  test('bigints pass whole, in both directions', () => {
    const big = 2n ** 62n + 1n;
    expect(ops.full([1], big, { dtype: 'int64' }).toTypedArray()).toEqual(new BigInt64Array([big]));
    expect(
      ops
        .full([1], -(2n ** 63n), { dtype: 'int64' })
        .add(5n)
        .toTypedArray(),
    ).toEqual(new BigInt64Array([-(2n ** 63n) + 5n]));
    expect(() => tensor([1]).add(2n ** 63n)).toThrow(/9223372036854775808n does not fit into 64 bits/);
  });

  test('null is none, undefined the default, and lists may hold null', () => {
    const x = tensor([[0, 5], [7, 9]]); // prettier-ignore
    expect(x.index([null, tensor([1], 'int64')]).toNumbers()).toEqual([5, 9]);
    expect(x.clamp(null, 6).toNumbers()).toEqual([0, 5, 6, 6]);
    expect(x.clamp(1, null).toNumbers()).toEqual([1, 5, 7, 9]);
    expect(ops.linear(x, x, null).shape).toEqual([2, 2]);
    expect(x.sum([1], undefined, { dtype: 'float64' }).dtype).toBe('float64');
    expect(x.stdMean([0], false, undefined).map(({ shape }) => shape)).toEqual([[2], [2]]);
  });

  test('keywords in camelCase, for positional arguments too', () => {
    expect(untyped('sum', matrix(), { dim: [0], keepdim: true })).toMatchObject({ shape: [1, 3] });
    expect(untyped('add', { self: tensor([1]), other: 2, alpha: 3 })).toMatchObject({ shape: [1] });
    expect(matrix().sum(1, { keepdim: true }).shape).toEqual([2, 1]);
    expect(
      tensor([1])
        .add(tensor([1]), { alpha: 3 })
        .toNumbers(),
    ).toEqual([4]);
    expect(ops.arange(2, { dtype: 'int32', pinMemory: undefined }).dtype).toBe('int32');
    const loss = ops.crossEntropyLoss(ops.zeros([2, 4]), tensor([0, 1], 'int64'), { labelSmoothing: 0.1 });
    expect(loss.item()).toBeCloseTo(Math.log(4), 6);
  });

  test('generators are passed by keyword and decide the numbers', () => {
    const draw = (seed: number): number[] => ops.randn([3], { generator: new Generator(seed) }).toNumbers();
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  test('arguments larger than the call buffer', () => {
    const many = Array.from({ length: 50_000 }, (_, index) => index);
    expect(ops.ones([50_000]).view([...many.slice(1).fill(1).slice(0, 10), 50_000]).numel).toBe(50_000);
    const lists = ops._foreachAdd(many.slice(0, 20_000).map(() => tensor([1])), many.slice(0, 20_000)); // prettier-ignore
    expect(lists[19_999]?.item()).toBe(20_000);
  });
});

describe('results', () => {
  test('tuples, lists, booleans and nothing', () => {
    const [values, indices] = tensor([3, 1, 2]).sort();
    expect(values.toNumbers()).toEqual([1, 2, 3]);
    expect(indices.dtype).toBe('int64');
    expect(matrix().unbind(1).map((column) => column.toNumbers())).toEqual([[1, 4], [2, 5], [3, 6]]); // prettier-ignore
    expect(matrix().equal(matrix())).toBe(true);
    expect(matrix().size(1)).toBe(3);
    expect(matrix().isFloatingPoint()).toBe(true);
    expect(untyped('_foreachMul_', [matrix()], 2)).toBeUndefined();
  });

  test('more results than the call buffer holds', () => {
    const before = liveTensorCount();
    const sum = scope(() => {
      const rows = ops.arange(60_000, { dtype: 'float32' }).unbind(0);
      expect(rows).toHaveLength(60_000);
      return (rows[59_999]?.item() ?? 0) + (rows[1]?.item() ?? 0);
    });
    expect(sum).toBe(60_000);
    expect(liveTensorCount()).toBe(before);
  });

  test('operators that work in place give back the same object, without a new handle', () => {
    const x = tensor([1, 2]);
    const before = liveTensorCount();
    expect(x.add_(1)).toBe(x);
    expect(ops.relu_(x)).toBe(x);
    expect(x.to('float32')).toBe(x);
    expect(x.contiguous()).toBe(x);
    expect(liveTensorCount()).toBe(before);
    expect(x.toNumbers()).toEqual([2, 3]);
  });

  test('out= gives back the tensor that was passed', () => {
    const out = ops.empty([2]);
    expect(ops.add(tensor([1, 2]), tensor([10, 20]), { out })).toBe(out);
    expect(tensor([1, 2]).mul(tensor([3, 4]), { out })).toBe(out);
    expect(out.toNumbers()).toEqual([3, 8]);
    const values = ops.empty([0]);
    const indices = ops.empty([0], { dtype: 'int64' });
    const [first, second] = matrix().max(1, { max: values, maxValues: indices });
    expect(first).toBe(values);
    expect(second).toBe(indices);
    expect(indices.toNumbers()).toEqual([2, 2]);
  });

  test('undefined tensors come back as null', () => {
    const gradients = internally(() =>
      ops.convolutionBackward(
        ops.ones([1, 1, 2, 2]), ops.ones([1, 1, 2, 2]), ops.ones([1, 1, 1, 1]),
        null, [1, 1], [0, 0], [1, 1], false, [0, 0], 1, [false, true, false],
      ),
    ); // prettier-ignore
    expect(gradients[0]).toBeNull();
    expect(gradients[1].toNumbers()).toEqual([4]);
    expect(gradients[2]).toBeNull();
  });
});

/** Runs `body` with LibTorch's internal operators allowed. */
function internally<Result>(body: () => Result): Result {
  allowInternalOperators();
  try {
    return body();
  } finally {
    allowInternalOperators(false);
  }
}

describe('internal operators', () => {
  test.each([
    '_softmax',
    'nativeBatchNorm',
    'slowConv3d',
    'convolutionBackward',
    'quantizedLstmCell',
    '_stack',
  ])('%s is refused until it is allowed', (name) => {
    expect(() => untyped(name)).toThrow(
      `${name}: this operator is internal to LibTorch and does not check its arguments: a wrong one ends the process. Use the public operator behind which it stands, or call allowInternalOperators() first`,
    );
    expect(() => internally(() => untyped(name))).toThrow(/no overload takes \(\)/);
  });

  test('public operators with underscores are not among them', () => {
    expect(tensor([1, 2], 'int64').__and__(3).toNumbers()).toEqual([1, 2]);
    expect(ops._foreachAdd([tensor([1])], 1)[0]?.item()).toBe(2);
    expect(internally(() => tensor([0, 0])._softmax(0, false).toNumbers())).toEqual([0.5, 0.5]);
  });
});

/** What `body` throws. */
function failure(body: () => unknown): TorchError {
  try {
    body();
  } catch (error) {
    if (error instanceof TorchError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('errors', () => {
  test("LibTorch's sentence, the operator and every argument", () => {
    const error = failure(() => ops.conv2d(ops.ones([1, 3, 8, 8]), ops.ones([4, 2, 3, 3]), null, 1, [0, 1]));
    expect(error).toBeInstanceOf(OperatorError);
    expect(error.operation).toBe('conv2d');
    expect(error.message).toMatch(
      /^conv2d: .*weight of size \[4, 2, 3, 3\].* to have 2 channels, but got 3 channels/,
    );
    expect(error.message).toContain(
      '(called with Tensor float32 [1, 3, 8, 8], Tensor float32 [4, 2, 3, 3], null, 1, [0, 1])',
    );
    // From 2.15 on, LibTorch names the operator that it calls in turn.
    expect(failure(() => matrix().matmul(matrix())).message.replace('matmul: mm:', 'matmul:')).toBe(
      'matmul: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3) (called with Tensor float32 [2, 3], Tensor float32 [2, 3])',
    );
    expect(failure(() => ops.cat([matrix(), tensor([1])])).message).toContain(
      '[Tensor float32 [2, 3], Tensor float32 [1]]',
    );
    expect(error.message).not.toMatch(/Exception raised|frame #/);
  });

  test('arguments that fit no overload are shown with the ways to call', () => {
    const error = failure(() => untyped('sum', matrix(), 'rows', { keepdim: true }));
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toMatch(/^sum: no overload takes \(Tensor\[2, 3\], 'rows', keepdim: true\)/);
    expect(error.message).toContain('aten::sum.dim_IntList(Tensor self, int[1]? dim');
    expect(failure(() => untyped('cat')).message).toContain('no overload takes ()');
    expect(failure(() => untyped('ones', [2], { dtyp: 'float32' })).message).toContain("dtyp: 'float32'");
    expect(failure(() => untyped('ones', [2], { dtype: 'float31' })).message).toContain("dtype: 'float31'");
    expect(failure(() => matrix().view([1.5, 4])).message).toContain(
      'no overload takes (Tensor[2, 3], [1.5, 4])',
    );
    expect(failure(() => matrix().view([NaN])).message).toContain('[nan]');
    expect(failure(() => untyped('sum', matrix(), 1, true, { dim: 1 })).message).toContain('dim: 1');
  });

  test('lists of a length that the kernel would not survive', () => {
    const image = ops.ones([1, 1, 4, 4]);
    expect(failure(() => image.maxPool2d([2, 2, 2])).message).toBe(
      "maxPool2d: argument 'kernel_size' takes 2 values, or one for all, got 3",
    );
    expect(failure(() => image.avgPool2d([])).message).toMatch(
      /'kernel_size' takes 2 values, or one for all, got 0/,
    );
    expect(failure(() => ops.cat([])).message).toBe(
      "cat: argument 'tensors' needs at least one tensor, got an empty list",
    );
  });

  test('values that are no arguments', () => {
    const add = (value: unknown) => () => untyped('add', matrix(), value);
    expect(failure(add(new Float32Array(2))).message).toMatch(
      /a Float32Array was passed.*Tensor.fromTypedArray makes one/,
    );
    expect(failure(add(new Date(0))).message).toMatch(/^add: a Date was passed/);
    expect(failure(add(() => 1)).message).toMatch(/^add: a function was passed/);
    expect(failure(add(Symbol('x'))).message).toMatch(/^add: a symbol was passed/);
    expect(failure(add([{ a: 1 }])).message).toMatch(/an object was passed in the middle of the arguments/);
  });

  test('out of memory names the size and what to do', () => {
    const error = failure(() => ops.empty([2 ** 45]));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.message).toMatch(
      /^empty: .*140737488355328 bytes.*called with \[35184372088832\].*Use a smaller batch/,
    );
    expect(failure(() => ops.empty([2n ** 62n])).message).toMatch(/^empty: /);
    expect(failure(() => ops.ones([2n ** 62n, 16])).message).toMatch(/^ones: /);
  });

  test('a failed call leaves nothing behind', () => {
    const x = matrix();
    const before = liveTensorCount();
    for (let i = 0; i < 100; i += 1) failure(() => x.matmul(x));
    expect(liveTensorCount()).toBe(before);
  });
});

describe('all of ATen', () => {
  test('every operator is a function, and a method where it takes self first', () => {
    expect(operatorEntries().size).toBeGreaterThan(1400);
    const functions: object = ops;
    for (const [name, { isMethod }] of operatorEntries()) {
      expect(Reflect.get(functions, name)).toBeTypeOf('function');
      if (isMethod) expect(name in Tensor.prototype, name).toBe(true);
    }
  });
});
