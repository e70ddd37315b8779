/** AdamW: Adam with weight decay apart from the gradient (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2). */
import { type Parameter } from '../nn/module.ts';
import { ops, type Tensor } from '../tensor.ts';
import { Optimizer, requireFinite } from './optimizer.ts';

/** Settings of AdamW. */
export interface AdamWOptions {
  readonly learningRate: number;
  /** Decay of the mean of gradients. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients. */
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
}

/** `m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= lr (m' / (sqrt(v') + epsilon) + weightDecay p)`. */
export class AdamW extends Optimizer {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;

  /** @throws {ArgumentError} for negative settings. */
  constructor(parameters: readonly Parameter[], options: AdamWOptions) {
    super('AdamW', parameters, options.learningRate);
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01 } = options;
    requireFinite('AdamW', { beta1, beta2, epsilon, weightDecay });
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
    this.weightDecay = weightDecay;
  }

  protected override update(
    parameters: readonly Tensor[],
    gradients: Tensor[],
    indices: readonly number[],
  ): void {
    const mean = this.slot('mean', indices, (parameter) => ops.zerosLike(parameter.detach()));
    const square = this.slot('square', indices, (parameter) => ops.zerosLike(parameter.detach()));
    if (this.weightDecay !== 0) ops._foreachMul_(parameters, 1 - this.learningRate * this.weightDecay);
    ops._foreachMul_(mean, this.beta1);
    ops._foreachAdd_(mean, gradients, { alpha: 1 - this.beta1 });
    ops._foreachMul_(square, this.beta2);
    ops._foreachAddcmul_(square, gradients, gradients, 1 - this.beta2);
    // The corrections for the zero start (algorithm 2, lines 9 and 10).
    const meanCorrection = 1 - this.beta1 ** this.steps;
    const squareCorrection = 1 - this.beta2 ** this.steps;
    const denominator = ops._foreachSqrt(square);
    ops._foreachDiv_(denominator, Math.sqrt(squareCorrection));
    ops._foreachAdd_(denominator, this.epsilon);
    ops._foreachAddcdiv_(parameters, mean, denominator, -this.learningRate / meanCorrection);
  }
}
