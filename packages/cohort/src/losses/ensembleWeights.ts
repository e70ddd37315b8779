/** KDCL-General's weights (Guo et al., CVPR 2020, section 3.2): the mixture with the smallest expected error. */
import { at } from '../support/at.ts';

/** Share of the mean variance that is added to the diagonal: networks that agree give a matrix without an inverse. */
const ridge = 1e-4;

/** How far below the slope of the least useful network another's must be to join, as a share of the mean variance. */
const tolerance = 1e-12;

/**
 * Weights that minimise `sum_ij w_i w_j (C_ij + ridge_ij)` among non-negative weights that sum to 1; negative ones would push
 * away from a network's output.
 *
 * A primal active-set method (Nocedal and Wright, Numerical Optimization, 2nd edition, section 16.5): it moves towards
 * the unbounded minimum `C^-1 1` (scaled) of the networks that have weight until a weight would turn negative, and drops that
 * network; once it arrives, the outside network with the lowest slope joins, until none would lower the error (the
 * Karush-Kuhn-Tucker conditions). The matrix is positive definite, so the error falls with every arrival, no set of networks
 * occurs twice, and the result is the only minimum.
 *
 * @param products the networks' error products C, N rows of N, symmetric and positive semi-definite
 * @returns N weights; equal weights if nothing was measured
 */
export function ensembleWeights(products: readonly (readonly number[])[]): number[] {
  const count = products.length;
  const mean = products.reduce((sum, row, index) => sum + at(row, index), 0) / count;
  if (!(mean > 0) || !Number.isFinite(mean)) return Array<number>(count).fill(1 / count);
  // Scaled to a mean variance of 1, so that tolerances mean the same for any number of images.
  const matrix = products.map((row, index) =>
    row.map((value, column) => value / mean + (index === column ? ridge : 0)),
  );
  let weights = Array<number>(count).fill(1 / count);
  let best = { error: Infinity, weights };
  const active = new Set(weights.keys());
  for (;;) {
    const networks = [...active];
    const minimum = minimumOn(matrix, networks);
    const blocking = firstBelowZero(weights, minimum, networks);
    if (blocking !== null) {
      const { network, share } = blocking;
      weights = weights.map((value, index) => value + share * (at(minimum, index) - value));
      weights[network] = 0;
      active.delete(network);
      continue;
    }
    weights = minimum;
    const slopes = slopesOf(matrix, weights);
    const error = slopes.reduce((sum, slope, index) => sum + slope * at(weights, index), 0);
    // Only rounding keeps it from falling, and would let two sets of networks take turns for ever.
    if (!(error < best.error)) return best.weights;
    best = { error, weights };
    const joining = lowestOutside(slopes, active);
    if (joining === null) return weights;
    active.add(joining);
  }
}

/** Weights that sum to 1 and minimise the error among networks that are used, whatever their signs; 0 for the others. */
function minimumOn(matrix: readonly (readonly number[])[], networks: readonly number[]): number[] {
  const solution = solve(networks.map((row) => networks.map((column) => at(at(matrix, row), column))));
  const total = solution.reduce((sum, value) => sum + value, 0);
  const weights = Array<number>(matrix.length).fill(0);
  for (const [index, network] of networks.entries()) weights[network] = at(solution, index) / total;
  return weights;
}

/** The network whose weight reaches 0 first on the way to `minimum`, and how far that is; null where none does. */
function firstBelowZero(
  weights: readonly number[],
  minimum: readonly number[],
  networks: readonly number[],
): { network: number; share: number } | null {
  let first: { network: number; share: number } | null = null;
  for (const network of networks) {
    const [from, to] = [at(weights, network), at(minimum, network)];
    if (to >= 0) continue;
    const share = from / (from - to);
    if (first === null || share < first.share) first = { network, share };
  }
  return first;
}

/** Half the error's derivative in every weight. */
function slopesOf(matrix: readonly (readonly number[])[], weights: readonly number[]): number[] {
  return matrix.map((row) => row.reduce((sum, value, column) => sum + value * at(weights, column), 0));
}

/** The network without weight that would lower the error most; null where none would: the minimum. */
function lowestOutside(slopes: readonly number[], active: ReadonlySet<number>): number | null {
  // That of all networks with weight, up to rounding; the smallest of them asks most of one that would join.
  const level = Math.min(...slopes.filter((_, network) => active.has(network)));
  let [lowest, joining]: [number, number | null] = [level - tolerance, null];
  for (const [network, slope] of slopes.entries()) {
    if (active.has(network) || slope >= lowest) continue;
    [lowest, joining] = [slope, network];
  }
  return joining;
}

/** Solves `matrix x = 1` for a symmetric positive definite matrix, by elimination. */
function solve(matrix: readonly (readonly number[])[]): number[] {
  const rows = matrix.map((row) => [...row, 1]);
  const size = rows.length;
  for (const [pivot, pivotRow] of rows.entries()) {
    const scale = at(pivotRow, pivot);
    for (const [index, row] of rows.entries()) {
      if (index === pivot) continue;
      const factor = at(row, pivot) / scale;
      for (let column = pivot; column <= size; column += 1) {
        row[column] = at(row, column) - factor * at(pivotRow, column);
      }
    }
  }
  return rows.map((row, index) => at(row, size) / at(row, index));
}
