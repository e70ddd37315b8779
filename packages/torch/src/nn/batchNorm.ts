/** Batch normalisation, alone and with what stands around it. */
import { ArgumentError } from '../errors.ts';
import { keep } from '../scope.ts';
import { ops, type Tensor } from '../tensor.ts';
import type { Conv2d } from './convolution.ts';
import type { FoldableConvolution } from './foldable.ts';
import { FoldedConvolution } from './folding.ts';
import { isObserved, Module, tellObserver, type Parameter } from './module.ts';
import { assertPositive, ones, zeros } from './settings.ts';

/** A convolution and the normalisation after it. */
export interface ConvolutionAndNorm {
  readonly convolution: Conv2d;
  readonly norm: BatchNorm;
}

/**
 * Batch normalisation over all dimensions but the second (Ioffe and Szegedy, arXiv 1502.03167); in evaluation by the
 * running statistics.
 */
class BatchNorm extends Module {
  weight: Parameter;
  bias: Parameter;
  runningMean: Tensor;
  runningVar: Tensor;
  numBatchesTracked: Tensor;
  readonly #rank: readonly number[];
  #folded: FoldedConvolution | null = null;

  /**
   * @param momentum share of the newest batch in the running statistics
   * @param epsilon added to the variance
   */
  constructor(
    channels: number,
    rank: readonly number[],
    readonly momentum: number,
    readonly epsilon: number,
  ) {
    super();
    assertPositive('BatchNorm', { channels });
    this.weight = ones([channels]);
    this.bias = zeros([channels]);
    this.runningMean = keep(ops.zeros([channels]));
    this.runningVar = keep(ops.ones([channels]));
    this.numBatchesTracked = keep(ops.zeros([], { dtype: 'int64' }));
    this.#rank = rank;
  }

  override forward(input: Tensor): Tensor {
    if (this.#folded !== null) return this.#folded.run(input);
    this.#prepare(input);
    return ops.batchNormAlone(
      input, this.weight, this.bias, this.runningMean, this.runningVar,
      this.training, this.momentum, this.epsilon,
    ); // prettier-ignore
  }

  /** As `forward` with ReLU after it, `max(norm(input), 0)`, in one pass over memory less; likewise differentiable twice. */
  forwardRelu(input: Tensor): Tensor {
    if (this.#folded !== null) return this.#folded.run(input, { rectifies: true });
    this.#prepare(input);
    return ops.batchNormRelu(
      input, this.weight, this.bias, this.runningMean, this.runningVar,
      this.training, this.momentum, this.epsilon,
    ); // prettier-ignore
  }

  /**
   * As `forwardRelu` with a shortcut added before ReLU: `max(norm(input) + residual, 0)`.
   *
   * @param residual of the input's shape; converted to its dtype
   */
  forwardAddRelu(input: Tensor, residual: Tensor): Tensor {
    if (this.#folded !== null) return this.#folded.run(input, { residual, rectifies: true });
    this.#prepare(input);
    return ops.batchNormAddRelu(
      input, residual, this.weight, this.bias, this.runningMean, this.runningVar,
      this.training, this.momentum, this.epsilon,
    ); // prettier-ignore
  }

  /**
   * As `forwardRelu` with a convolution after it. In training what lies between the two is computed again on the way back
   * instead of being kept, which saves memory and costs little.
   */
  forwardReluConvolution(input: Tensor, convolution: Conv2d): Tensor {
    if (!this.training || convolution.bias !== null) {
      const between = this.forwardRelu(input);
      const output = convolution.call(between);
      between.dispose();
      return output;
    }
    this.#prepare(input);
    const { weight, stride, padding, dilation, groups } = convolution;
    const output = ops.normReluConvolution(
      input, this.weight, this.bias, this.runningMean, this.runningVar,
      this.momentum, this.epsilon, weight, stride, padding, dilation, groups,
    ); // prettier-ignore
    tellObserver(convolution, output);
    return output;
  }

  /**
   * As `forward` with a 1x1 convolution of stride 1 after it. In training what lies between the two is never computed where
   * our own loops do both.
   */
  forwardPointwise(input: Tensor, convolution: Conv2d): Tensor {
    const { weight, stride, padding, groups } = convolution;
    const isPointwise =
      weight.shape[2] === 1 && weight.shape[3] === 1 && stride === 1 && padding === 0 && groups === 1;
    if (!this.training || convolution.bias !== null || !isPointwise) {
      const between = this.forward(input);
      const output = convolution.call(between);
      if (between !== input) between.dispose();
      return output;
    }
    this.#prepare(input);
    const output = ops.normPointwise(
      input, this.weight, this.bias, this.runningMean, this.runningVar, this.momentum, this.epsilon, weight,
    ); // prettier-ignore
    tellObserver(convolution, output);
    return output;
  }

  /**
   * The basic unit of ShuffleNet V2 (arXiv 1807.11164, figure 3c) in training: the first half of the channels passes by, the
   * other one goes through three convolutions, 1x1, depthwise 3x3 and 1x1, each with a normalisation after it, the first and
   * the last with ReLU; then both are shuffled, `[B, 2C, H, W] -> [B, 2C, H, W]`. Null where the modules are to run one by
   * one: in evaluation, with an observer, and with settings that differ.
   */
  static shuffleUnit(input: Tensor, layers: readonly ConvolutionAndNorm[]): Tensor | null {
    const first = layers[0]?.norm;
    const isAlike = ({ convolution, norm }: ConvolutionAndNorm): boolean =>
      norm.training &&
      norm.momentum === first?.momentum &&
      norm.epsilon === first.epsilon &&
      convolution.bias === null;
    if (first === undefined || isObserved() || !layers.every(isAlike)) return null;
    for (const { norm } of layers) norm.#prepare(input);
    return ops.shuffleUnit(
      input,
      layers.map(({ convolution }) => convolution.weight),
      layers.map(({ norm }) => norm.weight),
      layers.map(({ norm }) => norm.bias),
      layers.flatMap(({ norm }) => [norm.runningMean, norm.runningVar]),
      first.momentum,
      first.epsilon,
    );
  }

  override get isFolded(): boolean {
    return this.#folded !== null;
  }

  /** Takes a convolution's work over; false where it cannot: see `foldBatchNorm`, which calls this. */
  fold(convolution: FoldableConvolution): boolean {
    if (this.training) {
      throw new ArgumentError(
        'foldBatchNorm',
        `this ${this.constructor.name} is in training, where it normalises by the batch. Call eval() first.`,
      );
    }
    if (this.#folded !== null || convolution.isTakenOver) return false;
    this.#folded = FoldedConvolution.of(convolution, this);
    convolution.isTakenOver = this.#folded !== null;
    return convolution.isTakenOver;
  }

  /** Gives the convolution its work back. */
  unfold(): void {
    this.#folded?.dispose();
    this.#folded = null;
  }

  override dispose(): void {
    super.dispose();
    this.unfold();
  }

  /** Refuses what cannot be normalised, and counts the batch. */
  #prepare(input: Tensor): void {
    const { shape } = input;
    if (!this.#rank.includes(shape.length)) {
      throw new ArgumentError(
        this.constructor.name,
        `expected ${this.#rank.join(' or ')} dimensions, got ${String(input)}.`,
      );
    }
    const values = shape.reduce((product, size) => product * size, 1) / Math.max(1, shape[1] ?? 1);
    if (this.training && values < 2) {
      // The variance of one value is not defined: the running statistics would be NaN from here on.
      throw new ArgumentError(
        this.constructor.name,
        `training needs more than one value a channel, got ${String(input)}. Use a larger batch, or eval().`,
      );
    }
    if (this.training) this.numBatchesTracked.add_(1);
  }
}

/** Batch normalisation of feature maps `[B, C, H, W]`. */
export class BatchNorm2d extends BatchNorm {
  constructor(channels: number, momentum = 0.1, epsilon = 1e-5) {
    super(channels, [4], momentum, epsilon);
  }
}

/** Batch normalisation of vectors `[B, C]` or sequences `[B, C, L]`. */
export class BatchNorm1d extends BatchNorm {
  constructor(channels: number, momentum = 0.1, epsilon = 1e-5) {
    super(channels, [2, 3], momentum, epsilon);
  }
}
