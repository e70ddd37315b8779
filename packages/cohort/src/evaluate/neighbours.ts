/**
 * Classifies images by the labels of their nearest neighbours among features (Wu et al., arXiv 1805.01978, section 3.4; as
 * in DINO, Caron et al., arXiv 2104.14294): no training, and therefore the cheapest measure of a representation.
 */
import { noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';

/** Images whose labels are known. */
export interface Memory {
  /** `[N, D]`, of any length. */
  readonly features: Tensor;
  /** int64 `[N]`. */
  readonly labels: Tensor;
}

/** How neighbours vote. */
export interface NeighbourSettings {
  readonly classes: number;
  /** Nearest images that vote; all where the memory has fewer. */
  readonly k: number;
  /** T: the vote of a neighbour counts `exp(cosine similarity / T)`. */
  readonly temperature: number;
}

/** Rows at a time: bounds the similarities in memory to a few hundred megabytes even for a million images. */
const CHUNK_ENTRIES = 2 ** 25;

/**
 * Shares of the votes, `[M, classes]`, each row with a sum of 1.
 *
 * @param queries `[M, D]`
 */
export function neighbourScores(memory: Memory, queries: Tensor, settings: NeighbourSettings): Tensor {
  return noGrad(() =>
    scope(() => {
      const { classes, k, temperature } = settings;
      const [count = 0] = memory.features.shape;
      const [queryCount = 0] = queries.shape;
      const known = unitRows(memory.features).t(); // [D, N]
      const rows = Math.max(1, Math.floor(CHUNK_ENTRIES / Math.max(1, count)));
      const parts: Tensor[] = [];
      for (let first = 0; first < queryCount; first += rows) {
        const length = Math.min(rows, queryCount - first);
        parts.push(
          scope(() => {
            const similarities = unitRows(queries.narrow(0, first, length)).matmul(known); // [m, N]
            const [nearest, places] = similarities.topk(Math.min(k, count), 1); // [m, k]
            // The nearest is taken off first: exp overflows at small temperatures.
            const votes = nearest
              .sub(nearest.narrow(1, 0, 1))
              .div(temperature)
              .exp();
            const labels = memory.labels.indexSelect(0, places.reshape([-1])).reshape([length, -1]); // [m, k]
            const sums = ops.zeros([length, classes], { dtype: votes.dtype }).scatterAdd(1, labels, votes);
            return sums.div(sums.sum([1], true));
          }),
        );
      }
      return ops.cat(parts, 0);
    }),
  );
}

/** `[N, D]` with rows of length 1; zeros stay zeros. */
export function unitRows(features: Tensor): Tensor {
  return scope(() => features.div(features.linalgVectorNorm(2, [1], true).clampMin(1e-12)));
}
