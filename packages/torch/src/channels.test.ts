/** Splitting channels in two and joining them shuffled: every memory format and dtype, gradients, and second derivatives. */
import { describe, expect, test } from 'vitest';
import { OperatorError } from './errors.ts';
import { Generator, grad, ops, scope, type DType, type Tensor } from './index.ts';

const generator = new Generator(5);
const dtypes = ['float32', 'float64', 'bfloat16'] as const;

function maps(channels: number, dtype: DType, memoryFormat: 'contiguous' | 'channelsLast'): Tensor {
  return ops.randn([3, channels, 5, 7], { generator }).to(dtype).contiguous({ memoryFormat });
}

const shuffled = (left: Tensor, right: Tensor): Tensor => ops.stack([left, right], 2).flatten(1, 2);

describe.each(dtypes)('in %s', (dtype) => {
  test.each(['contiguous', 'channelsLast'] as const)(
    'maps in %s are joined, and keep their format',
    (format) => {
      scope(() => {
        const [left, right] = [maps(9, dtype, format), maps(9, dtype, format)];
        const both = ops.joinShuffled(left, right);
        expect(both.toNumbers()).toEqual(shuffled(left, right).toNumbers());
        expect(both.hasMemoryFormat(format)).toBe(true);
      });
    },
  );

  test.each(['contiguous', 'channelsLast'] as const)('maps in %s are split into copies', (format) => {
    scope(() => {
      const both = maps(10, dtype, format);
      const [left, right] = ops.splitChannels(both);
      expect(left.toNumbers()).toEqual(both.narrow(1, 0, 5).toNumbers());
      expect(right.toNumbers()).toEqual(both.narrow(1, 5, 5).toNumbers());
      expect([left, right].map((each) => each.hasMemoryFormat(format))).toEqual([true, true]);
      both.zero_();
      expect(left.abs().sum().item()).toBeGreaterThan(0);
    });
  });
});

test.each(['contiguous', 'channelsLast'] as const)(
  'gradients and second derivatives are those of ATen: %s',
  (format) => {
    scope(() => {
      const [left, right, input] = [
        maps(4, 'float64', format),
        maps(4, 'float64', format),
        maps(8, 'float64', format),
      ];
      const leaves = [left, right, input];
      for (const leaf of leaves) leaf.requiresGrad = true;
      const numbers = (
        join: typeof shuffled,
        split: (x: Tensor) => readonly [Tensor, Tensor],
      ): number[][] => {
        const [first, second] = split(input);
        // Powers, so that the second derivatives are no constants; one half is used twice and one result not at all.
        const value = join(first.pow(3), left)
          .mul(join(right, left).square())
          .sum()
          .add(split(second.pow(2))[0].sum());
        const slopes = grad(value, leaves, { createGraph: true });
        const second2 = grad(
          slopes.reduce((sum, each) => sum.add(each.square().sum()), ops.zeros([], { dtype: 'float64' })),
          leaves,
        );
        return [...slopes, ...second2].map((each) => each.toNumbers());
      };
      const own = numbers(
        (a, b) => ops.joinShuffled(a, b),
        (x) => ops.splitChannels(x),
      );
      const aten = numbers(shuffled, (x) => {
        const half = (x.shape[1] ?? 0) / 2;
        return [x.narrow(1, 0, half), x.narrow(1, half, half)];
      });
      for (const [index, expected] of aten.entries()) {
        const found = own[index] ?? [];
        expect(found).toHaveLength(expected.length);
        for (const [place, value] of expected.entries()) expect(found[place]).toBeCloseTo(value, 9);
      }
    });
  },
);

test('halves of different dtypes are promoted, as by stack', () => {
  scope(() => {
    const left = maps(3, 'bfloat16', 'channelsLast');
    const right = maps(3, 'float32', 'channelsLast');
    expect(ops.joinShuffled(left, right).toNumbers()).toEqual(shuffled(left, right).toNumbers());
  });
});

test('what cannot be split or joined is refused', () => {
  expect(() => ops.splitChannels(maps(3, 'float32', 'contiguous'))).toThrow(OperatorError);
  expect(() => ops.splitChannels(maps(3, 'float32', 'contiguous'))).toThrow(
    'with an even number of channels',
  );
  expect(() => ops.joinShuffled(maps(3, 'float32', 'contiguous'), maps(4, 'float32', 'contiguous'))).toThrow(
    'expected two maps [B, C, H, W] of one shape',
  );
});
