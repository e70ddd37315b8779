/** Compares the engine's gradients with central differences, the independent judge of every backward formula. */
import { expect } from 'vitest';
import { enableGrad, grad, noGrad, ops, scope, Tensor } from '../index.ts';

/** Proxy for a list of inputs that destructures without `undefined`. */
type Inputs = readonly [Tensor, Tensor, Tensor];

/**
 * Fails unless the gradient of `forward` (times fixed random-looking weights) agrees with central differences in every
 * element of every input. The inputs must be float64.
 */
export function expectGradientsToMatch(
  forward: (inputs: Inputs) => Tensor,
  inputs: readonly Tensor[],
  tolerance = 1e-6,
): void {
  const value = (given: readonly Tensor[]): Tensor => {
    const output = forward(given as Inputs);
    // Distinct weights, so that errors in single elements cannot cancel.
    const weights = ops
      .arange(1, output.numel + 1, { dtype: 'float64' })
      .sin()
      .view(output.shape);
    return output.mul(weights).sum();
  };
  scope(() => {
    const leaves = inputs.map((input) => input.detach().clone());
    for (const leaf of leaves) leaf.requiresGrad = true;
    const gradients = grad(value(leaves), leaves).map((gradient) => gradient.toNumbers());
    const step = 1e-6;
    for (const [position, leaf] of leaves.entries()) {
      const flat = noGrad(() => leaf.detach().view([-1]));
      for (let index = 0; index < leaf.numel; index += 1) {
        const valueAt = (offset: number): number =>
          scope(() => {
            noGrad(() => flat.select(0, index).add_(offset));
            const result = enableGrad(() => value(leaves).item());
            noGrad(() => flat.select(0, index).sub_(offset));
            return result;
          });
        const numeric = (valueAt(step) - valueAt(-step)) / (2 * step);
        const analytic = gradients[position]?.[index] ?? NaN;
        const scale = Math.max(1, Math.abs(numeric), Math.abs(analytic));
        expect(Math.abs(analytic - numeric) / scale, `input ${position}, element ${index}`).toBeLessThan(
          tolerance,
        );
      }
    }
  });
}
