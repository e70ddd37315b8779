/**
 * The meta step that trains the matching network (Yang et al., arXiv 2207.11518, section 3.4 and algorithm 1): look-ahead
 * SGD steps on the layer-wise MCL loss, one on the cross-entropy, then the hypergradient of the cross-entropy after them.
 */
import { currentDevice, memoryStatistics, optim, scope, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import { availableBytes } from '../../support/availableBytes.ts';
import { notNegative, positive } from '../../support/numberSchemas.ts';
import { hypergradient, type LookAhead } from './hypergradient.ts';
import type { MatchingNetwork } from './matching.ts';
import { at } from '../../support/at.ts';

/** How the matching network is trained; defaults are the published settings. */
export const metaSettings = z.strictObject({
  /** A meta step follows the first and then every so many training steps. */
  intervalSteps: z.int().min(1).default(50),
  /** Look-ahead steps on the layer-wise MCL loss, before the one on the cross-entropy. */
  innerSteps: z.int().min(1).max(100).default(2),
  /** Of look-ahead steps and matching network; null follows the training's schedule. */
  learningRate: positive.nullable().default(null),
  momentum: z.number().min(0).lt(1).default(0.9),
  weightDecay: notNegative.default(0.0005),
  /** Images of the cross-entropy: the training step's own, or others of the same epoch. */
  outerBatch: z.enum(['same', 'other']).default('same'),
  /** What networks compute in when they look ahead: as `train.precision` says, or always float32. */
  precision: z.enum(['training', 'float32']).default('training'),
});

/** Resolved settings of the meta step. */
export type MetaSettings = z.output<typeof metaSettings>;

/** The memory that is free, and what the engine has reserved but does not use. */
function bytesForTensors(): number {
  const { reservedBytes, usedBytes } = memoryStatistics();
  return availableBytes() + reservedBytes - usedBytes;
}

/** What a meta step looks ahead with; the losses are recomputed from the parameters at that point. */
export interface MetaObjectives extends Pick<LookAhead, 'parameters' | 'buffers'> {
  /** Layer-wise MCL loss, weighted by the matching network with its graph. */
  readonly inner: () => Tensor;
  /** Cross-entropy of every stage of every network. */
  readonly outer: () => Tensor;
}

/** What a meta step measured. */
export interface MetaStepValues extends Record<string, number> {
  /** Cross-entropy after the look-ahead steps. */
  readonly metaLoss: number;
  /** L2 norm of its gradient in the matching network's parameters. */
  readonly hypergradientNorm: number;
}

/** Trains the matching network every few steps. */
export class MetaOptimisation {
  readonly optimizer: optim.SGD;
  readonly #matching: MatchingNetwork;
  readonly #settings: MetaSettings;
  readonly #freeBytes: () => number;
  #graphBytes = 0;

  /** @param freeBytes memory that more may be taken of; graphs of look-ahead steps are kept in a third of it */
  constructor(matching: MatchingNetwork, settings: MetaSettings, freeBytes: () => number = bytesForTensors) {
    this.#freeBytes = freeBytes;
    this.#matching = matching;
    this.#settings = settings;
    const { momentum, weightDecay } = settings;
    this.optimizer = new optim.SGD(matching.parameters(), {
      learningRate: 0,
      momentum,
      nesterov: momentum > 0,
      weightDecay,
    });
  }

  /** Whether a meta step follows the training step with this number, from 0. */
  isDue(step: number): boolean {
    return step % this.#settings.intervalSteps === 0;
  }

  /**
   * One meta step; everything but the matching network is as before when it returns. Where the cross-entropy or the
   * hypergradient is not finite, so is a value that is returned, and nothing changes at all.
   *
   * @param learningRate of the training step; used where the settings have none of their own
   */
  step(objectives: MetaObjectives, learningRate: number): MetaStepValues {
    const { innerSteps, momentum, weightDecay } = this.#settings;
    const rate = this.#settings.learningRate ?? learningRate;
    const metaParameters = this.#matching.parameters();
    return scope(() => {
      const { gradients, outerLoss, graphBytes } = hypergradient({
        parameters: objectives.parameters,
        buffers: objectives.buffers,
        metaParameters,
        steps: [...Array<() => Tensor>(innerSteps).fill(objectives.inner), objectives.outer],
        outer: objectives.outer,
        sgd: { learningRate: rate, momentum, nesterov: false, weightDecay },
        graphsKept: this.#graphsThatFit(),
      });
      this.#graphBytes = graphBytes;
      const squares = gradients.reduce((sum, gradient) => sum + gradient.square().sum().item(), 0);
      if (Number.isFinite(squares) && Number.isFinite(outerLoss)) {
        for (const [index, parameter] of metaParameters.entries())
          parameter.grad = at(gradients, index, 'the hypergradients');
        this.optimizer.learningRate = rate;
        this.optimizer.step();
        this.optimizer.zeroGrad();
      }
      return { metaLoss: outerLoss, hypergradientNorm: Math.sqrt(squares) };
    });
  }

  /** One until a meta step has shown how large a graph is; a graphics card's memory is left alone. */
  #graphsThatFit(): number {
    if (this.#graphBytes <= 0 || currentDevice() !== 'cpu') return 1;
    return 1 + Math.max(0, Math.floor(this.#freeBytes() / 3 / this.#graphBytes));
  }
}
