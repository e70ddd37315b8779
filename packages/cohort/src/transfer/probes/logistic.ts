/** Multinomial logistic regression on frozen features, at its optimum, and the choice of its penalty on validation images. */
import { noGrad, scope, Tensor } from '@cohort-ml/torch';
import { ProbeError } from '../errors.ts';
import { minimise, type Objective } from './lbfgs.ts';
import { PENALTIES } from './settings.ts';

/** Features with their labels. */
export interface LabelledFeatures {
  /** `[N, D]`. */
  readonly features: Tensor;
  /** int64 `[N]`. */
  readonly labels: Tensor;
}

/** A linear classifier: `logits = features weight^T + bias`. */
export interface LinearClassifier {
  /** float64 `[classes, D]`. */
  readonly weight: Tensor;
  /** float64 `[classes]`, with a mean of 0. */
  readonly bias: Tensor;
}

/** A fitted regression. */
export interface LogisticFit extends LinearClassifier {
  /** Mean cross-entropy and penalty at the end, in nats. */
  readonly loss: number;
  readonly iterations: number;
  readonly hasConverged: boolean;
  /** Where to start for a similar penalty. */
  readonly point: Float64Array;
}

/** How it is fitted. */
export interface LogisticOptions {
  readonly classes: number;
  /** lambda; scikit-learn's C is `1 / (lambda N)`. */
  readonly penalty: number;
  readonly start?: Float64Array;
  readonly maximumIterations?: number;
  readonly gradientTolerance?: number;
}

/**
 * Minimises `mean cross-entropy + lambda / 2 |W|^2`, the bias left free, by L-BFGS in float64.
 *
 * @returns tensors that belong to the scope around the call
 * @throws {ProbeError} where features or the loss are not finite
 */
export function fitLogistic(
  { features, labels }: LabelledFeatures,
  { classes, penalty, start, ...limits }: LogisticOptions,
): LogisticFit {
  return noGrad(() =>
    scope(() => {
      const [count = 0, width = 0] = features.shape;
      const inputs = features.to('float64'); // [N, D]
      const targets = labels.oneHot(classes).to('float64'); // [N, classes]
      const size = classes * width;
      const objective: Objective = (point) =>
        scope(() => {
          const weight = Tensor.fromTypedArray(point.subarray(0, size), [classes, width]);
          const bias = Tensor.fromTypedArray(point.subarray(size), [classes]);
          const logs = inputs.matmul(weight.t()).add(bias).logSoftmax(1); // [N, classes]
          const loss = logs.mul(targets).sum().item() / -count;
          const errors = logs.exp().sub(targets).div(count); // [N, classes]
          const gradient = new Float64Array(size + classes);
          gradient.set(errors.t().matmul(inputs).add(weight.mul(penalty)).toNumbers());
          gradient.set(errors.sum([0]).toNumbers(), size);
          return { value: loss + (penalty / 2) * weight.square().sum().item(), gradient };
        });
      if (inputs.isfinite().all().item() === 0) throw notFinite();
      const { point, value, iterations, hasConverged } = minimise(
        objective,
        start ?? new Float64Array(size + classes),
        limits,
      );
      const bias = Tensor.fromTypedArray(point.subarray(size), [classes]);
      return {
        weight: Tensor.fromTypedArray(point.subarray(0, size), [classes, width]),
        bias: bias.sub(bias.mean()),
        loss: value,
        ...{ iterations, hasConverged, point },
      };
    }),
  );
}

function notFinite(): ProbeError {
  return new ProbeError(
    'Some features are not finite numbers, so no classifier can be fitted to them.',
    'Check the run for divergence, or probe an earlier checkpoint.',
  );
}

/** Logits `[N, classes]` in float64. */
export function classify({ weight, bias }: LinearClassifier, features: Tensor): Tensor {
  return noGrad(() => scope(() => features.to('float64').matmul(weight.t()).add(bias)));
}

/** One penalty that was tried. */
export interface PenaltyTrial {
  readonly penalty: number;
  /** On validation images, 0 to 1. */
  readonly accuracy: number;
  /** On validation images, nats. */
  readonly negativeLogLikelihood: number;
  readonly iterations: number;
  readonly hasConverged: boolean;
}

/** What a sweep found. */
export interface PenaltySweep {
  readonly best: PenaltyTrial;
  readonly trials: readonly PenaltyTrial[];
}

/**
 * Fits every penalty on training images, from the largest down and each from the one before, and takes the one with the
 * highest accuracy on validation images; of equal ones the one with the lower negative log-likelihood.
 */
export function sweepPenalty(
  training: LabelledFeatures,
  validation: LabelledFeatures,
  { classes, penalties = PENALTIES }: { readonly classes: number; readonly penalties?: readonly number[] },
): PenaltySweep {
  let start: Float64Array | undefined;
  const trials = [...penalties]
    .sort((left, right) => right - left)
    .map((penalty) =>
      scope((): PenaltyTrial => {
        const fit = fitLogistic(training, { classes, penalty, ...(start === undefined ? {} : { start }) });
        start = fit.point;
        const logits = classify(fit, validation.features);
        const { iterations, hasConverged } = fit;
        return { penalty, ...scoreOf(logits, validation.labels), iterations, hasConverged };
      }),
    );
  const best = trials.reduce((chosen, trial) => (isBetter(trial, chosen) ? trial : chosen));
  return { best, trials };
}

function isBetter(one: PenaltyTrial, other: PenaltyTrial): boolean {
  if (one.accuracy !== other.accuracy) return one.accuracy > other.accuracy;
  return one.negativeLogLikelihood < other.negativeLogLikelihood;
}

function scoreOf(logits: Tensor, labels: Tensor): Pick<PenaltyTrial, 'accuracy' | 'negativeLogLikelihood'> {
  return scope(() => ({
    accuracy: logits.argmax(1).eq(labels).to('float64').mean().item(),
    negativeLogLikelihood: -logits.logSoftmax(1).gather(1, labels.unsqueeze(1)).mean().item(),
  }));
}
