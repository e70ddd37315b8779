/** The weights of KDCL-General are the minimum: no subset of networks, tried one by one, does better. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ensembleWeights } from './ensembleWeights.ts';

type Matrix = readonly (readonly number[])[];

/** C with the ridge that the weights are solved with. */
function regularised(products: Matrix): number[][] {
  const mean = products.reduce((sum, row, index) => sum + (row[index] ?? 0), 0) / products.length;
  return products.map((row, i) => row.map((value, j) => value + (i === j ? 1e-4 * mean : 0)));
}

const slopesOf = (matrix: Matrix, weights: readonly number[]): number[] =>
  matrix.map((row) => row.reduce((sum, value, column) => sum + value * (weights[column] ?? 0), 0));

const errorOf = (matrix: Matrix, weights: readonly number[]): number =>
  slopesOf(matrix, weights).reduce((sum, slope, index) => sum + slope * (weights[index] ?? 0), 0);

/** Solves `matrix x = 1` by Gaussian elimination with pivoting. */
function solveOnes(matrix: Matrix): number[] {
  const rows = matrix.map((row) => [...row, 1]);
  const n = rows.length;
  for (let column = 0; column < n; column += 1) {
    const best = rows
      .map((row, index) => ({ index, size: index < column ? -1 : Math.abs(row[column] ?? 0) }))
      .reduce((left, right) => (right.size > left.size ? right : left)).index;
    [rows[column], rows[best]] = [rows[best] ?? [], rows[column] ?? []];
    const pivot = rows[column] ?? [];
    for (const [index, row] of rows.entries()) {
      if (index === column) continue;
      const factor = (row[column] ?? 0) / (pivot[column] ?? 1);
      for (let place = 0; place <= n; place += 1)
        row[place] = (row[place] ?? 0) - factor * (pivot[place] ?? 0);
    }
  }
  return rows.map((row, index) => (row[n] ?? 0) / (row[index] ?? 1));
}

/** The smallest error over the unbounded minima of all subsets that happen to have no negative weight. */
function bruteForce(matrix: Matrix): number {
  let best = Infinity;
  for (let subset = 1; subset < 2 ** matrix.length; subset += 1) {
    const members = matrix.map((_, index) => index).filter((index) => (subset >> index) % 2 === 1);
    const solution = solveOnes(members.map((row) => members.map((column) => matrix[row]?.[column] ?? 0)));
    const total = solution.reduce((sum, value) => sum + value, 0);
    if (solution.some((value) => value / total < 0)) continue;
    const weights = matrix.map((_, index) => {
      const place = members.indexOf(index);
      return place < 0 ? 0 : (solution[place] ?? 0) / total;
    });
    best = Math.min(best, errorOf(matrix, weights));
  }
  return best;
}

/** Error products of 1 to 6 networks on a few images, alike or not: F F^T, of any rank. */
const productsOf = fc
  .tuple(
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 8 }),
    fc.double({ min: 0, max: 4, noNaN: true }),
  )
  .chain(([networks, images, common]) =>
    fc
      .array(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: images, maxLength: images }), {
        minLength: networks,
        maxLength: networks,
      })
      // What all networks get wrong makes their errors go together, so that the best leave no weight to others.
      .map((errors) => errors.map((row) => row.map((value, index) => value + common * (index + 1)))),
  )
  .map((errors) =>
    errors.map((left) =>
      errors.map((right) => left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0)),
    ),
  );

describe('ensembleWeights', () => {
  it('gives a network back its weight that was without on the way', () => {
    const weights = ensembleWeights([
      [3, 6, 2],
      [6, 19, 0],
      [2, 0, 4],
    ]);
    expect(weights[0]).toBeCloseTo(2 / 3, 3);
    expect(weights[1]).toBe(0);
    expect(weights[2]).toBeCloseTo(1 / 3, 3);
  });

  it('finds the minimum, as every subset tried one by one shows', () => {
    fc.assert(
      fc.property(productsOf, (products) => {
        const weights = ensembleWeights(products);
        expect(weights.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 9);
        expect(Math.min(...weights)).toBeGreaterThanOrEqual(0);
        if (!products.some((row, index) => (row[index] ?? 0) > 0)) return;
        const matrix = regularised(products);
        const [error, best] = [errorOf(matrix, weights), bruteForce(matrix)];
        expect(error).toBeLessThanOrEqual(best + 1e-7 * Math.abs(best) + 1e-9);
        // Karush-Kuhn-Tucker: networks with weight share one slope, the error itself; the others have no lower one.
        const scale = Math.max(...matrix.flat().map(Math.abs));
        for (const [index, slope] of slopesOf(matrix, weights).entries()) {
          expect(slope).toBeGreaterThanOrEqual(error - 1e-8 * scale);
          if ((weights[index] ?? 0) > 1e-9) expect(Math.abs(slope - error)).toBeLessThan(1e-8 * scale);
        }
      }),
      { numRuns: 500, seed: 20 },
    );
  });

  it('says equal weights where nothing was measured, or what was is not finite', () => {
    expect(ensembleWeights([[0, 0], [0, 0]])).toEqual([0.5, 0.5]); // prettier-ignore
    expect(ensembleWeights([[NaN, 0], [0, 1]])).toEqual([0.5, 0.5]); // prettier-ignore
    expect(ensembleWeights([[Infinity, 0], [0, 1]])).toEqual([0.5, 0.5]); // prettier-ignore
  });
});
