/** Principal components are those of a covariance worked out in full, and one network's picture is turned onto another's. */
import { describe, expect, test } from 'vitest';
import { alignTo, principalComponents } from './index.ts';

/** Numbers that look random and are the same every time. */
function noise(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const value = Math.sin((index + 1) * 12.9898 + seed * 78.233) * 43_758.5453;
    return value - Math.floor(value) - 0.5;
  });
}

describe('principal components', () => {
  test('find the directions and the shares of variance that were put in', () => {
    const count = 400;
    const [first, second] = [noise(count, 1), noise(count, 2)];
    // Two orthogonal directions in five dimensions, one three times as wide as the other.
    const a = [0.6, 0.8, 0, 0, 0];
    const b = [0, 0, 0, 0.8, -0.6];
    const values = Float64Array.from({ length: count * 5 }, (_, index) => {
      const [row, column] = [Math.floor(index / 5), index % 5];
      return 10 + 3 * (first[row] ?? 0) * (a[column] ?? 0) + (second[row] ?? 0) * (b[column] ?? 0);
    });
    const { scores, shares, width } = principalComponents(values, count, 5, 2);
    expect(width).toBe(2);
    expect((shares[0] ?? 0) + (shares[1] ?? 0)).toBeCloseTo(1, 6);
    expect(shares[0]).toBeGreaterThan(0.85);
    const leading = first.map((_, row) => scores[row * 2] ?? 0);
    expect(Math.abs(correlation(leading, first))).toBeGreaterThan(0.99);
  });

  test('keep all distances when no dimension is left out', () => {
    const values = noise(30 * 4, 3);
    const { scores, width } = principalComponents(values, 30, 4, 8);
    expect(width).toBe(4);
    const distance = (array: ArrayLike<number>, size: number, one: number, other: number): number =>
      Math.hypot(
        ...Array.from(
          { length: size },
          (_, k) => (array[one * size + k] ?? 0) - (array[other * size + k] ?? 0),
        ),
      );
    for (const [one, other] of [
      [0, 1],
      [5, 29],
      [12, 13],
    ] as const) {
      expect(distance(scores, width, one, other)).toBeCloseTo(distance(values, 4, one, other), 6);
    }
  });

  test('are zero for embeddings that are all equal, and leave out what is not finite', () => {
    expect([...principalComponents(new Float32Array(20).fill(3), 5, 4, 2).scores]).toEqual(
      new Array(10).fill(0),
    );
    const { scores } = principalComponents([1, 2, NaN, 4, 3, 9, Infinity, 1], 4, 2, 2);
    expect([...scores].every(Number.isFinite)).toBe(true);
  });
});

describe('alignment', () => {
  const points = noise(60, 4);

  test('undoes a turn, a mirroring, a scale and a shift', () => {
    const moved = Float64Array.from(points, (_, index) => {
      const [x, y] = [points[index - (index % 2)] ?? 0, -(points[index - (index % 2) + 1] ?? 0)];
      const [turnedX, turnedY] = [0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y];
      return 2.5 * (index % 2 === 0 ? turnedX : turnedY) + 7;
    });
    const aligned = alignTo(points, moved);
    aligned.forEach((value, index) => {
      expect(value).toBeCloseTo(points[index] ?? NaN, 9);
    });
  });

  test('leaves what fits already, and puts a single point onto the other', () => {
    [...alignTo(points, points)].forEach((value, index) => {
      expect(value).toBeCloseTo(points[index] ?? NaN, 9);
    });
    expect([...alignTo([3, 4], [1, 1])]).toEqual([3, 4]);
  });
});

function correlation(one: readonly number[], other: readonly number[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [a, b] = [mean(one), mean(other)];
  let [both, left, right] = [0, 0, 0];
  one.forEach((value, index) => {
    const [x, y] = [value - a, (other[index] ?? 0) - b];
    both += x * y;
    left += x * x;
    right += y * y;
  });
  return both / Math.sqrt(left * right);
}
