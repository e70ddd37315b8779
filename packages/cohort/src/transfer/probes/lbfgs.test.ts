/** The minimiser on functions whose minima are known. */
import { describe, expect, it } from 'vitest';
import { minimise, type Objective } from './lbfgs.ts';

/** `100 (y - x^2)^2 + (1 - x)^2`: a curved valley with its minimum at (1, 1). */
const rosenbrock: Objective = (point) => {
  const [x = 0, y = 0] = point;
  return {
    value: 100 * (y - x * x) ** 2 + (1 - x) ** 2,
    gradient: Float64Array.of(-400 * x * (y - x * x) - 2 * (1 - x), 200 * (y - x * x)),
  };
};

describe('minimise', () => {
  it('follows a curved valley to its minimum', () => {
    const { point, hasConverged, iterations } = minimise(rosenbrock, Float64Array.of(-1.2, 1));
    expect(hasConverged).toBe(true);
    expect(iterations).toBeLessThan(60);
    expect(point[0]).toBeCloseTo(1, 5);
    expect(point[1]).toBeCloseTo(1, 5);
  });

  it('copes with curvatures a million apart', () => {
    const scales = [1, 1e3, 1e6];
    const { point } = minimise(
      (at) => ({
        value: scales.reduce((sum, scale, index) => sum + (scale * ((at[index] ?? 0) - index) ** 2) / 2, 0),
        gradient: Float64Array.from(scales, (scale, index) => scale * ((at[index] ?? 0) - index)),
      }),
      Float64Array.of(5, 5, 5),
    );
    for (const [index, value] of point.entries()) expect(value).toBeCloseTo(index, 5);
  });

  it('leaves its start as it is, and stays there where it is the minimum', () => {
    const start = Float64Array.of(1, 1);
    const { iterations, hasConverged } = minimise(rosenbrock, start);
    expect([iterations, hasConverged]).toEqual([0, true]);
    expect([...start]).toEqual([1, 1]);
  });

  it('says so when it had to stop before the minimum', () => {
    const { hasConverged, iterations } = minimise(rosenbrock, Float64Array.of(-1.2, 1), {
      maximumIterations: 3,
    });
    expect([hasConverged, iterations]).toEqual([false, 3]);
  });

  it('refuses a start where the function is not finite', () => {
    expect(() => minimise(() => ({ value: NaN, gradient: Float64Array.of(0) }), Float64Array.of(0))).toThrow(
      /NaN at the start/,
    );
  });
});
