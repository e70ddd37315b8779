/** Gradients of fused batch normalisation, first and second: finite differences, parts of them, changes since. */
import { describe, expect, test } from 'vitest';
import { backward, grad, noGrad, ops, scope, type MemoryFormat, type Tensor } from './index.ts';
import { difference, epsilon, make, momentum, run } from './testing/batchNormCases.ts';
import { expectGradientsToMatch } from './testing/gradientCheck.ts';

/** A case as a function of what is differentiated, in float64, with running statistics of its own. */
function asFunction(training: boolean, hasResidual: boolean): (inputs: readonly Tensor[]) => Tensor {
  return ([x, weight, bias, residual]) => {
    if (!x || !weight || !bias || !residual) throw new Error('an input is missing');
    const channels = weight.numel;
    const mean = ops.full([channels], 0.2, { dtype: 'float64' });
    const variance = ops.full([channels], 1.7, { dtype: 'float64' });
    return hasResidual
      ? ops.batchNormAddRelu(x, residual, weight, bias, mean, variance, training, momentum, epsilon)
      : ops.batchNormRelu(x, weight, bias, mean, variance, training, momentum, epsilon).mul(residual);
  };
}

describe('gradients', () => {
  const modes = [true, false].flatMap((training) =>
    [true, false].map((hasResidual) => ({ training, hasResidual })),
  );
  const inputs = (): Tensor[] => {
    const { x, weight, bias, residual } = make({ shape: [2, 3, 2, 2], dtype: 'float64' });
    return [x, weight, bias, residual.div(40)];
  };
  const inLayout = ([x, weight, bias, residual]: readonly Tensor[], memoryFormat: MemoryFormat): Tensor[] => {
    if (!x || !weight || !bias || !residual) throw new Error('an input is missing');
    return [x.contiguous({ memoryFormat }), weight, bias, residual.contiguous({ memoryFormat })];
  };

  test.each(modes)(
    'agree with finite differences: training $training, residual $hasResidual',
    ({ training, hasResidual }) => {
      for (const format of ['contiguous', 'channelsLast'] as const) {
        expectGradientsToMatch(
          (given) => asFunction(training, hasResidual)(inLayout(given, format)),
          inputs(),
        );
      }
    },
  );

  test.each(modes)(
    'have gradients themselves: training $training, residual $hasResidual',
    ({ training, hasResidual }) => {
      // The gradient as a function, which finite differences judge in turn.
      const ofGradient = (given: readonly Tensor[], format: MemoryFormat): Tensor => {
        const output = asFunction(training, hasResidual)(inLayout(given, format));
        const first = grad(output.square().sum(), given, { createGraph: true });
        return ops.cat(first.map((gradient, index) => gradient.mul(index + 1).flatten()));
      };
      for (const format of ['contiguous', 'channelsLast'] as const) {
        expectGradientsToMatch((given) => ofGradient(given, format), inputs(), 1e-5);
      }
    },
  );

  test('are the same with createGraph, in bfloat16 too', () => {
    for (const dtype of ['float32', 'bfloat16'] as const) {
      scope(() => {
        const { x, residual, weight, bias, gradient } = make({ shape: [4, 6, 3, 3], dtype });
        const leaves = [x, residual, weight, bias];
        const y = ops.batchNormAddRelu(x, residual, weight, bias, null, null, true, momentum, epsilon);
        const plain = grad(y, leaves, { gradients: [gradient], retainGraph: true });
        const recorded = grad(y, leaves, { gradients: [gradient], createGraph: true });
        for (const [index, value] of plain.entries()) {
          expect(recorded[index]?.dtype).toBe(value.dtype);
          expect(difference(recorded[index] ?? value, value)).toBeLessThan(
            dtype === 'float32' ? 1e-5 : 2 ** -7,
          );
        }
      });
    }
  });

  test('of some inputs only are the same, and frozen ones get none', () => {
    for (const training of [true, false]) {
      scope(() => {
        const given = make({ shape: [4, 5, 3, 3] });
        const leaves = [given.x, given.weight, given.bias, given.residual];
        const all = run(given, { shape: [], training, hasResidual: true }, true).gradients;
        for (const [index, only] of leaves.entries()) {
          for (const leaf of leaves) leaf.requiresGrad = leaf === only;
          const { x, residual, weight, bias, gradient } = given;
          const [mean, variance] = [ops.full([5], 2.5), ops.full([5], 3.5)];
          const y = ops.batchNormAddRelu(
            x,
            residual,
            weight,
            bias,
            mean,
            variance,
            training,
            momentum,
            epsilon,
          );
          const [value] = grad(y, [only], { gradients: [gradient] });
          expect(value?.toNumbers()).toEqual(all[index]?.toNumbers());
        }
        for (const leaf of leaves) leaf.requiresGrad = false;
        expect(ops.batchNormRelu(given.x, null, null, null, null, true, momentum, epsilon).requiresGrad).toBe(
          false,
        );
      });
    }
  });

  test('notice what was changed since', () => {
    const changes: ((y: Tensor, x: Tensor, weight: Tensor) => void)[] = [
      (y) => y.mul_(2),
      (_, x) => x.add_(1),
      (_, __, weight) => weight.mul_(2),
    ];
    for (const change of changes) {
      scope(() => {
        const { x, weight, bias } = make({ shape: [4, 5, 3, 3] });
        const y = ops.batchNormRelu(x, weight, bias, null, null, true, momentum, epsilon);
        const loss = y.sum();
        noGrad(() => { change(y, x, weight); }); // prettier-ignore
        expect(() => { backward(loss); }).toThrow(/modified by an inplace operation/); // prettier-ignore
      });
    }
    scope(() => {
      const { x, weight, bias } = make({ shape: [4, 5, 3, 3] });
      const loss = ops.batchNormRelu(x, weight, bias, null, null, true, momentum, epsilon).sum();
      x.setData(ops.ones([1]));
      expect(() => { backward(loss); }).toThrow('was given other data since: [1] and [5]'); // prettier-ignore
    });
  });
});
