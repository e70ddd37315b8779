/** Classifiers for a few images of each class: ridge regression on whitened features, as in big_vision, and class means. */
import { noGrad, ops, scope, Tensor } from '@cohort-ml/torch';
import { unitRows } from '../../evaluate/neighbours.ts';
import type { LabelledFeatures } from './logistic.ts';

/** What is added to standard deviations before dividing by them. */
const EPSILON = 1e-5;
/** The value of the constant column: large, so that the ridge hardly shrinks the bias. */
const CONSTANT = 100;
/** Strength of the ridge. */
export const RIDGE = 2 ** 10;

/**
 * Maps features to mean 0 and standard deviation 1 over `reference` (population, 1e-5 added), in float64.
 *
 * @param reference `[N, D]`
 * @returns a map of `[M, D]` to `[M, D]`
 */
export function standardiser(reference: Tensor): (features: Tensor) => Tensor {
  const exact = reference.to('float64');
  const mean = exact.mean([0]); // [D]
  const deviation = exact.sub(mean).square().mean([0]).sqrt().add(EPSILON);
  return (features) => scope(() => features.to('float64').sub(mean).div(deviation));
}

/**
 * Scores `[M, classes]` of least squares towards 1 for the own class and -1 for the others, with features standardised by
 * the few images and a constant of 100 (big_vision's few-shot evaluation; Dosovitskiy et al., arXiv 2010.11929, appendix B.1.1).
 *
 * @param few the images that are learned from
 * @param queries `[M, D]`
 */
export function leastSquaresScores(
  few: LabelledFeatures,
  queries: Tensor,
  { classes, ridge = RIDGE }: { readonly classes: number; readonly ridge?: number },
): Tensor {
  return noGrad(() =>
    scope(() => {
      const standardise = standardiser(few.features);
      const withConstant = (features: Tensor): Tensor => {
        const [rows = 0] = features.shape;
        const constant = ops.full([rows, 1], CONSTANT, { dtype: 'float64' });
        return ops.cat([standardise(features), constant], 1); // [M, D + 1]
      };
      const inputs = withConstant(few.features); // [N, D + 1]
      const targets = few.labels.oneHot(classes).to('float64').mul(2).sub(1); // [N, classes]
      const [count = 0, width = 0] = inputs.shape;
      const identity = (size: number): Tensor => ops.eye(size, { dtype: 'float64' }).mul(ridge);
      const transposed = inputs.t();
      // The same solution either way; the smaller system is the cheaper one.
      const weight =
        count < width
          ? transposed.matmul(ops.linalgSolve(inputs.matmul(transposed).add(identity(count)), targets))
          : ops.linalgSolve(transposed.matmul(inputs).add(identity(width)), transposed.matmul(targets));
      return withConstant(queries).matmul(weight);
    }),
  );
}

/** How far images are from the mean of each class. */
export interface ClassMeanScores {
  /** `[M, classes]`. */
  readonly squaredDistances: Tensor;
  /** Cosine similarities, `[M, classes]`. */
  readonly cosine: Tensor;
}

/**
 * Distances to the mean features of every class (Snell et al., arXiv 1703.05175).
 * Classes without an image are infinitely far.
 *
 * @param queries `[M, D]`
 */
export function classMeanScores(few: LabelledFeatures, queries: Tensor, classes: number): ClassMeanScores {
  return noGrad(() =>
    scope(() => {
      const members = few.labels.oneHot(classes).to('float64'); // [N, classes]
      const counts = members.sum([0]).unsqueeze(1); // [classes, 1]
      const means = members.t().matmul(few.features.to('float64')).div(counts.clampMin(1)); // [classes, D]
      const exact = queries.to('float64');
      const cross = exact.matmul(means.t()); // [M, classes]
      const distances = exact
        .square()
        .sum([1], true)
        .add(means.square().sum([1]))
        .sub(cross.mul(2));
      const absent = counts.t().eq(0); // [1, classes]
      return {
        squaredDistances: distances.clampMin(0).maskedFill(absent, Infinity),
        cosine: unitRows(exact).matmul(unitRows(means).t()).maskedFill(absent, -Infinity),
      };
    }),
  );
}
