/** KDCL-General's weights (Guo et al., CVPR 2020, section 3.2): the mixture with the smallest expected error. */

/** Share of the mean variance that is added to the diagonal: networks that agree give a matrix without an inverse. */
const ridge = 1e-4;

/**
 * Weights that sum to 1 and minimise `sum_ij w_i w_j C_ij`. Without bounds they are `C^-1 1`, scaled; a network whose
 * weight would be negative gets 0 and the others are solved for again, since a negative weight would push away from what
 * that network says.
 *
 * @param products the networks' error products C, N rows of N
 * @returns N weights; equal ones where nothing was measured
 */
export function ensembleWeights(products: readonly (readonly number[])[]): number[] {
  const count = products.length;
  const mean = products.reduce((sum, row, index) => sum + (row[index] ?? 0), 0) / count;
  const weights = Array<number>(count).fill(1 / count);
  if (!(mean > 0) || !Number.isFinite(mean)) return weights;
  let active = weights.map((_, index) => index);
  for (;;) {
    const matrix = active.map((row) =>
      active.map((column) => (products[row]?.[column] ?? 0) + (row === column ? ridge * mean : 0)),
    );
    const solution = solve(matrix);
    const total = solution.reduce((sum, value) => sum + value, 0);
    const shares = solution.map((value) => value / total);
    const lowest = shares.indexOf(Math.min(...shares));
    if ((shares[lowest] ?? 0) >= 0 || active.length === 1) {
      weights.fill(0);
      for (const [index, network] of active.entries()) weights[network] = shares[index] ?? 0;
      return weights;
    }
    active = active.filter((_, index) => index !== lowest);
  }
}

/** Solves `matrix x = 1` for a symmetric positive definite matrix, by elimination. */
function solve(matrix: readonly (readonly number[])[]): number[] {
  const rows = matrix.map((row) => [...row, 1]);
  const size = rows.length;
  for (const [pivot, pivotRow] of rows.entries()) {
    const scale = pivotRow[pivot] ?? 1;
    for (const [index, row] of rows.entries()) {
      if (index === pivot) continue;
      const factor = (row[pivot] ?? 0) / scale;
      for (let column = pivot; column <= size; column += 1) {
        row[column] = (row[column] ?? 0) - factor * (pivotRow[column] ?? 0);
      }
    }
  }
  return rows.map((row, index) => (row[size] ?? 0) / (row[index] ?? 1));
}
