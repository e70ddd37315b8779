/**
 * Folds batch normalisation into the convolution before it, for inference: normalising by running statistics is a scale and
 * a shift of every channel, which the convolution's weights and bias can do. The module's own tensors stay as they are.
 */
import { noGrad } from '../autograd.ts';
import { ArgumentError } from '../errors.ts';
import { keep } from '../scope.ts';
import { ops, type Tensor } from '../tensor.ts';
import type { FoldableConvolution } from './foldable.ts';
import type { AnyModule } from './module.ts';
import type { PlanOptions } from './plan.ts';

/**
 * Folds every pair that the modules name in `foldable()`. The normalisation then runs the convolution, with an addition and
 * ReLU in the same pass where these follow, and the convolution hands its input on. Weights and statistics must not change
 * until `unfoldBatchNorm`: loading, training and conversion are refused meanwhile.
 *
 * @returns how many were folded now; those that are already, or whose folded weights would not be finite, are left alone
 * @throws {ArgumentError} when a pair's normalisation is in training.
 */
export function foldBatchNorm(module: AnyModule): number {
  let folded = 0;
  for (const { convolution, norm } of module.foldable()) folded += norm.fold(convolution) ? 1 : 0;
  for (const [, child] of module.namedChildren()) folded += foldBatchNorm(child);
  return folded;
}

/**
 * Makes a module in evaluation ready for inference: folds batch normalisation as `foldBatchNorm` does, and repeats what the
 * module did for an input as one call of the engine for others of its shape, memory format and dtype. This holds under
 * `noGrad` and outside of `autocast`; the results are those of the folded module. The second input of a shape is noted, and
 * the plan is tried on other numbers before it is used; a module that reads numbers (`item`) goes without. `unfoldBatchNorm`
 * undoes it.
 *
 * @returns how many convolutions were folded now
 * @throws {ArgumentError} when the module is in training.
 */
export function compile(module: AnyModule, options?: PlanOptions): number {
  if (module.training) {
    throw new ArgumentError('compile', `this ${module.constructor.name} is in training. Call eval() first.`);
  }
  const folded = foldBatchNorm(module);
  module.plan(options);
  return folded;
}

/** Undoes `foldBatchNorm` and `compile`. */
export function unfoldBatchNorm(module: AnyModule): void {
  module.unplan();
  for (const { convolution, norm } of module.foldable()) {
    norm.unfold();
    convolution.isTakenOver = false;
  }
  for (const [, child] of module.namedChildren()) unfoldBatchNorm(child);
}

/** What folding needs to know of a normalisation; one value per channel each. */
export interface NormParameters {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  readonly epsilon: number;
}

/** What may follow a folded convolution in the same pass. */
export interface FoldedRun {
  /** Added to the result, whose shape it has. */
  readonly residual?: Tensor;
  /** Whether ReLU comes last. */
  readonly rectifies?: boolean;
}

/** A convolution with the scale and shift of a normalisation in its weights. */
export class FoldedConvolution {
  readonly #convolution: FoldableConvolution;
  readonly #weight: Tensor; // [O, I / groups, K, K]
  readonly #bias: Tensor; // [O]

  private constructor(convolution: FoldableConvolution, weight: Tensor, bias: Tensor) {
    this.#convolution = convolution;
    this.#weight = weight;
    this.#bias = bias;
  }

  /** Null where a weight or statistic is not finite: ReLU in one pass with the convolution would hide NaN as zero. */
  static of(convolution: FoldableConvolution, norm: NormParameters): FoldedConvolution | null {
    const { weight, bias } = convolution;
    const { weight: normWeight, bias: normBias, runningMean, runningVar, epsilon } = norm;
    const [folded, shift] = noGrad(() =>
      ops.foldNorm(weight, bias, normWeight, normBias, runningMean, runningVar, epsilon),
    );
    if (folded === undefined || shift === undefined) return null;
    return new FoldedConvolution(convolution, keep(folded), keep(shift));
  }

  /** `[B, I, H, W] -> [B, O, H', W']`. */
  run(input: Tensor, { residual, rectifies = false }: FoldedRun = {}): Tensor {
    const { stride, padding, dilation, groups } = this.#convolution;
    return ops.foldedConvolution(
      input, this.#weight, this.#bias, residual ?? null, rectifies, stride, padding, dilation, groups,
    ); // prettier-ignore
  }

  dispose(): void {
    this.#weight.dispose();
    this.#bias.dispose();
  }
}
