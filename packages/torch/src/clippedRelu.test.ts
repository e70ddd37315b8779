/** ReLU with a ceiling: values and gradients of PyTorch's ReLU6, for every dtype, memory format and order of derivative. */
import { describe, expect, test } from 'vitest';
import { OperatorError } from './errors.ts';
import { Generator, grad, ops, scope, tensor, type DType, type Tensor } from './index.ts';

const generator = new Generator(3);
const dtypes = ['float32', 'float64', 'bfloat16'] as const satisfies readonly DType[];
const formats = ['contiguous', 'channelsLast'] as const;

describe.each(dtypes)('in %s', (dtype) => {
  test.each(formats)('equals a clamp, in the memory format of its input: %s', (memoryFormat) => {
    scope(() => {
      const input = ops.randn([2, 5, 3, 7], { generator }).mul(6).to(dtype).contiguous({ memoryFormat });
      const result = ops.clippedRelu(input, 6);
      expect(result.toNumbers()).toEqual(input.clamp(0, 6).toNumbers());
      expect(result.hasMemoryFormat(memoryFormat)).toBe(true);
      expect(result.dtype).toBe(dtype);
    });
  });

  test('keeps NaN and infinity apart, and passes gradients strictly between the bounds', () => {
    scope(() => {
      const input = tensor([-1, 0, 0.5, 6, 7, Infinity, -Infinity, NaN]).to(dtype);
      input.requiresGrad = true;
      const result = ops.clippedRelu(input, 6);
      expect(result.toNumbers()).toEqual([0, 0, 0.5, 6, 6, 6, 0, NaN]);
      const [slope] = grad(result.sum(), [input]);
      expect(slope?.toNumbers()).toEqual([0, 0, 1, 0, 0, 0, 0, 1]);
    });
  });
});

test.each(formats)('passes gradients whose memory lies differently from the map in %s', (memoryFormat) => {
  scope(() => {
    const input = ops.randn([2, 4, 3, 5], { generator }).mul(4).contiguous({ memoryFormat });
    const other = memoryFormat === 'contiguous' ? 'channelsLast' : 'contiguous';
    const weights = ops.randn([2, 4, 3, 5], { generator }).contiguous({ memoryFormat: other });
    input.requiresGrad = true;
    const [slope] = grad(ops.clippedRelu(input, 6).mul(weights).sum(), [input]);
    const inside = input.detach().gt(0).mul(input.detach().lt(6));
    // Without the sign of zero, which a product keeps.
    const expected = weights.mul(inside.to('float32')).toNumbers();
    expect(slope?.toNumbers()).toEqual(expected.map((value) => value + 0));
  });
});

test('has the second derivative of a clamp', () => {
  scope(() => {
    const input = ops.randn([3, 2, 4, 4], { generator }).mul(4).to('float64');
    input.requiresGrad = true;
    const second = (relu: (given: Tensor) => Tensor): number[] => {
      // Products of the result, so that the first derivative depends on the input.
      const [first] = grad(relu(input).pow(3).sum(), [input], { createGraph: true });
      if (first === undefined) throw new Error('no gradient');
      return grad(first.square().sum(), [input]).map((each) => each.toNumbers())[0] ?? [];
    };
    const ours = second((given) => ops.clippedRelu(given, 6));
    const expected = second((given) => given.clamp(0, 6));
    expect(ours.some((value) => value !== 0)).toBe(true);
    ours.forEach((value, index) => {
      expect(value).toBeCloseTo(expected[index] ?? NaN, 9);
    });
  });
});

test('refuses a ceiling that leaves nothing, and whole numbers', () => {
  scope(() => {
    expect(() => ops.clippedRelu(ops.zeros([2]), 0)).toThrow(OperatorError);
    expect(() => ops.clippedRelu(ops.zeros([2]).to('int64'), 6)).toThrow('floating-point');
  });
});
