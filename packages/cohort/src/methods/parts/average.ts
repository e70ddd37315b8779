/** Exponential moving averages of modules (mean teachers, Tarvainen and Valpola, arXiv 1703.01780). */
import { keep, nn, noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';

/** Counts the updates of averages; a buffer, so that it is saved with them. */
export class AverageCounter extends nn.Module {
  readonly updates: Tensor;

  constructor() {
    super();
    this.updates = keep(ops.zeros([], { dtype: 'int64' }));
  }

  override forward(input: Tensor): Tensor {
    return input;
  }

  /** Counts one more, and says how much of the old averages it keeps: `min(1 - 1 / (t + 1), largest)`, t from 0. */
  next(largest: number): number {
    const before = this.updates.item();
    this.updates.add_(1);
    return Math.min(1 - 1 / (before + 1), largest);
  }
}

/** Makes `averages` start as `sources` are, and takes them out of training. */
export function startAverages(averages: readonly nn.AnyModule[], sources: readonly nn.AnyModule[]): void {
  for (const [index, average] of averages.entries()) {
    average.loadStateDict(at(sources, index, 'the modules to average').stateDict());
    for (const parameter of average.parameters()) parameter.requiresGrad = false;
  }
}

/** Moves `averages` towards `sources`, one by one: `a = decay a + (1 - decay) s`. */
export function updateAverages(averages: readonly Tensor[], sources: readonly Tensor[], decay: number): void {
  noGrad(() => {
    scope(() => {
      for (const [index, average] of averages.entries()) {
        average.lerp_(at(sources, index, 'the tensors to average').detach(), 1 - decay);
      }
    });
  });
}
