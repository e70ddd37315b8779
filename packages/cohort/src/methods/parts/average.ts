/** Exponential moving averages of modules (mean teachers, Tarvainen and Valpola, arXiv 1703.01780). */
import { ArgumentError, keep, nn, noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';
import { at } from '../../support/at.ts';

/** Counts the updates of averages, in an int64 scalar buffer, so that the count is saved with them. */
export class AverageCounter extends nn.Module {
  readonly updates: Tensor;

  constructor() {
    super();
    this.updates = keep(ops.zeros([], { dtype: 'int64' }));
  }

  override forward(input: Tensor): Tensor {
    return input;
  }

  /**
   * Counts one more update.
   *
   * @param largest decay, from 0 to 1
   * @returns the share of the old averages that this update keeps, `min(1 - 1 / (t + 1), largest)` with t from 0
   */
  next(largest: number): number {
    const before = this.updates.item();
    this.updates.add_(1);
    return Math.min(1 - 1 / (before + 1), largest);
  }
}

/**
 * Copies the weights of `sources` into `averages`, and excludes these from training.
 *
 * @param averages modules, one per source, in the same order and of the same architecture
 * @throws when a state dict does not fit
 */
export function startAverages(averages: readonly nn.AnyModule[], sources: readonly nn.AnyModule[]): void {
  for (const [index, average] of averages.entries()) {
    average.loadStateDict(at(sources, index, 'the modules to average').stateDict());
    for (const parameter of average.parameters()) parameter.requiresGrad = false;
  }
}

/**
 * Moves averages towards sources, in place and without gradients: `a = decay a + (1 - decay) s` (arXiv 1703.01780, section 2).
 *
 * @param averages floating tensors of any shape
 * @param sources one per average, in the same order, of the same shape and dtype
 * @param decay share of the old average that is kept, from 0 to 1
 * @throws {ArgumentError} for another number of sources, or a decay outside of 0 to 1
 * @throws {OperatorError} when shapes or dtypes differ
 */
export function updateAverages(averages: readonly Tensor[], sources: readonly Tensor[], decay: number): void {
  if (sources.length !== averages.length) {
    throw new ArgumentError(
      'updateAverages',
      `expected one source per average, ${averages.length} in all, got ${sources.length}.`,
    );
  }
  if (!(decay >= 0 && decay <= 1)) {
    throw new ArgumentError('updateAverages', `expected a decay from 0 to 1, got ${decay}.`);
  }
  noGrad(() => {
    scope(() => {
      // All are computed before any is written: networks that share layers have several tensors over the same memory.
      const moved = averages.map((average, index) =>
        average.lerp(at(sources, index, 'the tensors to average').detach(), 1 - decay),
      );
      for (const [index, average] of averages.entries()) average.copy_(at(moved, index, 'the new averages'));
    });
  });
}
