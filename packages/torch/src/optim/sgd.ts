/** Stochastic gradient descent with momentum, Nesterov's look-ahead and weight decay, as PyTorch defines them. */
import { ArgumentError } from '../errors.ts';
import type { Parameter } from '../nn/module.ts';
import { ops, type Tensor } from '../tensor.ts';
import { Optimizer, requireFinite } from './optimizer.ts';

/** Settings of SGD. */
export interface SgdOptions {
  readonly learningRate: number;
  /** Share of the last step that is kept; 0 for none. */
  readonly momentum?: number;
  /** Step from the point that momentum leads to (Sutskever et al., 2013). */
  readonly nesterov?: boolean;
  /** L2 penalty added to the gradient. */
  readonly weightDecay?: number;
}

/**
 * `g = gradient + weightDecay p; v = momentum v + g; p -= learningRate (nesterov ? g + momentum v : v)`;
 * the first `v` is `g`.
 */
export class SGD extends Optimizer {
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;

  /** @throws {ArgumentError} for negative settings, and for Nesterov without momentum. */
  constructor(parameters: readonly Parameter[], options: SgdOptions) {
    super('SGD', parameters, options.learningRate, ['momentum']);
    const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
    requireFinite('SGD', { momentum, weightDecay });
    if (nesterov && momentum === 0) {
      throw new ArgumentError(
        'SGD',
        'nesterov needs a momentum above 0. Set momentum (0.9 is usual) or nesterov: false.',
      );
    }
    this.momentum = momentum;
    this.nesterov = nesterov;
    this.weightDecay = weightDecay;
  }

  protected override update(
    parameters: readonly Tensor[],
    given: readonly Tensor[],
    indices: readonly number[],
  ): void {
    // `grad` itself is left alone: a caller may log it after the step, or add to it.
    const { weightDecay, momentum, nesterov } = this;
    if (momentum !== 0 && indices.every((index) => this.hasSlot('momentum', index))) {
      const velocities = this.slot('momentum', indices, (parameter) => parameter);
      ops.sgd_(parameters, given, velocities, this.learningRate, momentum, weightDecay, nesterov);
      return;
    }
    const gradients = weightDecay === 0 ? given : ops._foreachAdd(given, parameters, { alpha: weightDecay });
    let direction: readonly Tensor[] = gradients;
    if (this.momentum !== 0) {
      const isFirst = indices.map((index) => !this.hasSlot('momentum', index));
      const velocity = this.slot('momentum', indices, (_, position) => at(gradients, position).clone());
      const older = indices.map((_, position) => position).filter((position) => isFirst[position] === false);
      if (older.length > 0) {
        const moving = older.map((position) => at(velocity, position));
        ops._foreachMul_(moving, this.momentum);
        ops._foreachAdd_(
          moving,
          older.map((position) => at(gradients, position)),
        );
      }
      direction = velocity;
      if (this.nesterov) {
        direction = ops._foreachAdd(gradients, velocity, { alpha: this.momentum });
      }
    }
    ops._foreachAdd_(parameters, direction, { alpha: -this.learningRate });
  }
}

function at(tensors: readonly Tensor[], position: number): Tensor {
  const tensor = tensors[position];
  if (tensor === undefined) throw new ArgumentError('SGD', `there is no tensor at ${position}.`);
  return tensor;
}
