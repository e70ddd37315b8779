/** Batches for the tests of fused batch normalisation, and what ATen's operators make of them. */
import { expect } from 'vitest';
import { Generator, grad, ops, scope, type DType, type MemoryFormat, type Tensor } from '../index.ts';

/** A batch to normalise. */
export interface Case {
  readonly shape: readonly number[];
  readonly memoryFormat?: MemoryFormat;
  readonly residualFormat?: MemoryFormat;
  readonly training?: boolean;
  readonly hasResidual?: boolean;
  readonly dtype?: DType;
}

/** Its tensors. */
export interface Given {
  readonly x: Tensor;
  readonly residual: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly gradient: Tensor;
}

export const momentum = 0.3;
export const epsilon = 1e-5;

/** Maps far from zero mean, in layouts at will; sums before ReLU keep away from zero, where rounding flips its mask. */
export function make({
  shape,
  memoryFormat = 'contiguous',
  residualFormat = memoryFormat,
  dtype = 'float32',
}: Case): Given {
  const generator = new Generator(7);
  const channels = shape[1] ?? 0;
  const statisticsDtype = dtype === 'float64' ? 'float64' : 'float32';
  const normal = (size: readonly number[]): Tensor => ops.randn(size, { generator, dtype: 'float64' });
  const laidOut = (values: Tensor, format: MemoryFormat): Tensor =>
    values.to(dtype).contiguous({ memoryFormat: shape.length === 4 ? format : 'contiguous' });
  const given = {
    x: laidOut(normal(shape).mul(2).add(3), memoryFormat),
    residual: laidOut(normal(shape).sign().mul(40), residualFormat),
    weight: normal([channels]).mul(0.2).add(1).to(statisticsDtype),
    bias: normal([channels]).to(statisticsDtype),
    gradient: laidOut(normal(shape), memoryFormat),
  };
  for (const leaf of [given.x, given.residual, given.weight, given.bias]) leaf.requiresGrad = true;
  return given;
}

/** What came of it. */
export interface Results {
  readonly output: Tensor;
  readonly gradients: readonly Tensor[];
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
}

/** Fused, or by ATen's operators, with the gradients of everything. */
export function run(given: Given, { training = true, hasResidual = false }: Case, isFused: boolean): Results {
  const { x, residual, weight, bias, gradient } = given;
  const channels = weight.numel;
  const runningMean = ops.full([channels], 2.5, { dtype: weight.dtype });
  const runningVar = ops.full([channels], 3.5, { dtype: weight.dtype });
  const forward = (): Tensor => {
    if (isFused && hasResidual)
      return ops.batchNormAddRelu(
        x,
        residual,
        weight,
        bias,
        runningMean,
        runningVar,
        training,
        momentum,
        epsilon,
      );
    if (isFused)
      return ops.batchNormRelu(x, weight, bias, runningMean, runningVar, training, momentum, epsilon);
    const normalised = ops.batchNorm(
      x,
      weight,
      bias,
      runningMean,
      runningVar,
      training,
      momentum,
      epsilon,
      false,
    );
    return hasResidual ? normalised.add(residual).relu() : normalised.relu();
  };
  const output = forward();
  const leaves = [x, weight, bias, ...(hasResidual ? [residual] : [])];
  return { output, gradients: grad(output, leaves, { gradients: [gradient] }), runningMean, runningVar };
}

/** Largest difference, relative to the largest value. */
export function difference(actual: Tensor, expected: Tensor): number {
  const [left, right] = [actual.to('float64'), expected.to('float64')];
  return left.sub(right).abs().max().item() / Math.max(1e-12, right.abs().max().item());
}

export function expectAgreement(aCase: Case, tolerance: number, reference: Case = aCase): void {
  scope(() => {
    const ours = run(make(aCase), aCase, true);
    const theirs = run(make(reference), aCase, false);
    const what = JSON.stringify(aCase);
    expect(ours.output.shape, what).toEqual(theirs.output.shape);
    expect(ours.output.dtype, what).toBe(aCase.dtype ?? 'float32');
    expect(difference(ours.output, theirs.output), `output of ${what}`).toBeLessThan(tolerance);
    for (const [index, gradient] of ours.gradients.entries()) {
      const expected = theirs.gradients[index] ?? gradient;
      expect(gradient.shape, what).toEqual(expected.shape);
      expect(difference(gradient, expected), `gradient ${index} of ${what}`).toBeLessThan(tolerance);
    }
    expect(difference(ours.runningMean, theirs.runningMean), `mean of ${what}`).toBeLessThan(tolerance);
    expect(difference(ours.runningVar, theirs.runningVar), `variance of ${what}`).toBeLessThan(tolerance);
  });
}
