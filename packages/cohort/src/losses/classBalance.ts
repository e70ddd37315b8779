/** Weights of classes, and their priors, from the number of training images of each. */

/** How classes are weighed by their number of images. */
export type BalanceRule =
  | { readonly name: 'balanced' }
  /** Every further image of a class counts `beta` of the one before. */
  | { readonly name: 'effective-number'; readonly beta: number };

/**
 * Weights of the classes, with a mean of 1 over the training images (balanced) or over the classes (effective number).
 *
 * - `balanced`: `images / (classes count_c)`, so that every class counts the same in all.
 * - `effective-number`: `(1 - beta) / (1 - beta^count_c)`, scaled to sum to the number of classes (Cui et al.,
 *   arXiv 1901.05555, equation 4 and section 4); beta 0 is no weighting, and towards 1 it becomes balanced.
 *
 * @param counts training images of every class, each 1 or more
 */
export function balancedWeights(rule: BalanceRule, counts: readonly number[]): number[] {
  if (rule.name === 'balanced') {
    const images = counts.reduce((sum, count) => sum + count, 0);
    return counts.map((count) => images / (counts.length * count));
  }
  const { beta } = rule;
  // expm1 and log1p: with beta near 1 the plain differences lose their digits.
  const raw = counts.map((count) => (1 - beta) / -Math.expm1(count * Math.log1p(beta - 1)));
  const sum = raw.reduce((total, value) => total + value, 0);
  return raw.map((value) => (value * counts.length) / sum);
}

/**
 * Offsets of the logit-adjusted loss, `strength ln(count_c / images)` (Menon et al., arXiv 2007.07314, equation 10).
 *
 * @param counts training images of every class, each 1 or more
 * @param strength tau; 1 makes the loss consistent for the balanced error
 */
export function priorOffsets(counts: readonly number[], strength: number): number[] {
  const images = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => strength * Math.log(count / images));
}
