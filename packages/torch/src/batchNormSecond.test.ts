/** The derivative of fused batch normalisation's gradient: ATen's own and finite differences judge it. */
import { describe, expect, test } from 'vitest';
import { grad, ops, scope, type DType, type MemoryFormat, type Tensor } from './index.ts';
import { difference, epsilon, make, momentum } from './testing/batchNormCases.ts';
import { expectGradientsToMatch } from './testing/gradientCheck.ts';

type Form = 'alone' | 'relu' | 'addRelu';

interface SecondCase {
  readonly shape: readonly number[];
  readonly form: Form;
  readonly memoryFormat?: MemoryFormat;
  readonly training?: boolean;
  readonly dtype?: DType;
}

/** Derivatives by the incoming gradient, input and weight of a sum over all four gradients. */
function secondDerivatives(given: SecondCase, isFused: boolean): Tensor[] {
  const { form, training = true, dtype = 'float32' } = given;
  const { x, residual, weight, bias, gradient } = make(given);
  gradient.requiresGrad = true;
  const running = [ops.full([weight.numel], 2.5), ops.full([weight.numel], 3.5)].map((each) =>
    each.to(weight.dtype),
  ) as [Tensor, Tensor];
  const settings = [...running, training, momentum, epsilon] as const;
  const forward = (): Tensor => {
    if (isFused && form === 'alone') return ops.batchNormAlone(x, weight, bias, ...settings);
    if (isFused && form === 'relu') return ops.batchNormRelu(x, weight, bias, ...settings);
    if (isFused) return ops.batchNormAddRelu(x, residual, weight, bias, ...settings);
    const normalised = ops.batchNorm(x, weight, bias, ...settings, false);
    if (form === 'alone') return normalised;
    return (form === 'relu' ? normalised : normalised.add(residual)).relu();
  };
  const leaves = [x, weight, bias, ...(form === 'addRelu' ? [residual] : [])];
  const first = grad(forward(), leaves, { gradients: [gradient], createGraph: true });
  // Other factors for every element: a constant one would vanish by the subtraction of means.
  const factors = first.map((each, index) =>
    ops.arange(each.numel, { dtype: 'float64' }).add(index).sin().view(each.shape).to(each.dtype),
  );
  const second = grad(first, [gradient, x, weight], { gradients: factors });
  expect(second.map((each) => each.dtype)).toEqual([dtype, dtype, weight.dtype]);
  return second;
}

function expectSecondAgreement(given: SecondCase, tolerance: number, reference: SecondCase = given): void {
  scope(() => {
    const theirs = secondDerivatives(reference, false);
    for (const [index, ours] of secondDerivatives(given, true).entries()) {
      const expected = theirs[index] ?? ours;
      expect(difference(ours, expected), `${index} of ${JSON.stringify(given)}`).toBeLessThan(tolerance);
    }
  });
}

const forms: readonly Form[] = ['alone', 'relu', 'addRelu'];

describe('second derivatives of fused batch normalisation', () => {
  test.each(forms)("agree with ATen's in float64 and float32, in both layouts (%s)", (form) => {
    for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
      for (const training of [true, false]) {
        // Fewer channels than a vector has, as many as several have, and a rest; one image, and more rows than a chunk.
        for (const shape of [
          [7, 3, 5, 3],
          [2, 64, 4, 4],
          [3, 37, 3, 5],
          [1, 16, 9, 9],
          [9, 16, 16, 16],
        ]) {
          const given = { shape, form, memoryFormat, training };
          expectSecondAgreement({ ...given, dtype: 'float64' }, 1e-11);
          expectSecondAgreement(given, 1e-5, { ...given, dtype: 'float64' });
        }
      }
    }
  });

  test('in bfloat16 are those of float32, rounded', () => {
    // Without ReLU near zero, where rounding of the input flips its mask.
    for (const form of ['alone', 'addRelu'] as const) {
      const given = { shape: [8, 32, 6, 6], form, memoryFormat: 'channelsLast' as const };
      expectSecondAgreement({ ...given, dtype: 'bfloat16' }, 2 ** -5, { ...given, dtype: 'float64' });
    }
  });

  test('are the same where only some of the four gradients are differentiated', () => {
    scope(() => {
      const { x, residual, weight, bias, gradient } = make({ shape: [4, 5, 3, 3], dtype: 'float64' });
      gradient.requiresGrad = true;
      const y = ops.batchNormAddRelu(x, residual, weight, bias, null, null, true, momentum, epsilon);
      const leaves = [x, weight, bias, residual];
      const first = grad(y, leaves, { gradients: [gradient], createGraph: true });
      const of = (gradients: readonly Tensor[]): Tensor[] =>
        grad(
          gradients.map((each) => each.pow(3).sum()),
          [gradient, x, weight],
          { retainGraph: true, allowUnused: true },
        ).map((each, index) => each ?? ops.zerosLike([gradient, x, weight][index] ?? x));
      const whole = of(first);
      const parts = first.map((each) => of([each]));
      for (const [index, value] of whole.entries()) {
        const sum = parts.reduce((total, part) => total.add(part[index] ?? value), ops.zerosLike(value));
        expect(difference(sum, value)).toBeLessThan(1e-12);
      }
      // Alone: the graph of a gradient by the input, the others not asked for.
      const [only] = grad(y, [x], { gradients: [gradient], createGraph: true });
      if (only === undefined) throw new Error('no gradient');
      for (const [index, value] of of([only]).entries()) {
        expect(difference(value, parts[0]?.[index] ?? value)).toBeLessThan(1e-12);
      }
    });
  });

  test('have gradients themselves', () => {
    const { x, weight, bias } = make({ shape: [3, 2, 2, 1], dtype: 'float64' });
    expectGradientsToMatch(
      (given) => {
        const [input, scale, shift] = given;
        // Evaluation: mean and variance are constants, so that every order is a polynomial.
        const [mean, variance] = [ops.full([2], 0.2), ops.full([2], 1.7)].map((each) =>
          each.to('float64'),
        ) as [Tensor, Tensor];
        const y = ops.batchNormRelu(input, scale, shift, mean, variance, false, momentum, epsilon);
        const first = grad(y.pow(3).sum(), [input, scale], { createGraph: true });
        const penalty = first.map((each) => each.square().sum());
        return ops.cat(grad(penalty, [input, scale], { createGraph: true }).map((each) => each.flatten()));
      },
      [x, weight, bias],
      1e-5,
    );
  });
});
