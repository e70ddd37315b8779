/** AdamW: Adam with weight decay apart from the gradient (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2). */
import { ArgumentError } from '../errors.ts';
import type { Parameter } from '../nn/module.ts';
import { ops, type Tensor } from '../tensor.ts';
import { counterSlot, Optimizer, requireFinite } from './optimizer.ts';

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
    super('AdamW', parameters, options.learningRate, ['mean', 'square', counterSlot]);
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01 } = options;
    requireFinite('AdamW', { beta1, beta2, epsilon, weightDecay });
    if (beta1 >= 1 || beta2 >= 1) {
      throw new ArgumentError('AdamW', `beta1 and beta2 must be less than 1, got ${beta1} and ${beta2}.`);
    }
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
    this.weightDecay = weightDecay;
  }

  protected override update(
    parameters: readonly Tensor[],
    gradients: readonly Tensor[],
    indices: readonly number[],
  ): void {
    const mean = this.slot('mean', indices, (parameter) => ops.zerosLike(parameter.detach()));
    const square = this.slot('square', indices, (parameter) => ops.zerosLike(parameter.detach()));
    if (this.weightDecay !== 0) ops._foreachMul_(parameters, 1 - this.learningRate * this.weightDecay);
    ops._foreachMul_(mean, this.beta1);
    ops._foreachAdd_(mean, gradients, { alpha: 1 - this.beta1 });
    ops._foreachMul_(square, this.beta2);
    ops._foreachAddcmul_(square, gradients, gradients, 1 - this.beta2);
    // The corrections for the zero start (algorithm 2, lines 9 and 10), by each parameter's own count: one that got its
    // first gradient late starts from zero then.
    const counters = this.slot(counterSlot, indices, () => ops.zeros([], { dtype: 'int64' }));
    ops._foreachAdd_(counters, 1);
    const counts = counters.map((counter) => counter.item());
    const denominator = ops._foreachSqrt(square);
    ops._foreachDiv_(
      denominator,
      counts.map((count) => Math.sqrt(1 - this.beta2 ** count)),
    );
    ops._foreachAdd_(denominator, this.epsilon);
    ops._foreachAddcdiv_(
      parameters,
      mean,
      denominator,
      counts.map((count) => -this.learningRate / (1 - this.beta1 ** count)),
    );
  }
}
