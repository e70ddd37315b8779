/** Mean and spread of the matching weight of every pair of stages over an epoch, so that one sees who learns from whom. */
import { keep, noGrad, ops, scope, Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import { at } from '../../support/at.ts';

/** The shape of what a checkpoint holds: sums over samples, as numbers. */
export const matchingStateSchema = z.object({ sums: z.array(z.number()), samples: z.int().min(0) });

/** What a checkpoint holds. */
export type MatchingState = z.output<typeof matchingStateSchema>;

/** Adds up weights step by step on the engine; nothing is read back before the epoch's end. */
export class MatchingStatistics {
  readonly #stagesPerNetwork: readonly number[];
  /** Sums over samples of the weights and of their squares, `[2, E, E]`, in float64; null before the first step. */
  #sums: Tensor | null = null;
  #samples = 0;

  /** @param stagesPerNetwork one number per network, E together */
  constructor(stagesPerNetwork: readonly number[]) {
    this.#stagesPerNetwork = stagesPerNetwork;
  }

  /** @param weights `[B, E, E]`, symmetric */
  add(weights: Tensor): void {
    const sums = noGrad(() =>
      scope(() => {
        const exact = weights.detach().to('float64');
        const added = ops.stack([exact.sum([0]), exact.square().sum([0])], 0); // [2, E, E]
        return keep(this.#sums === null ? added : this.#sums.add(added));
      }),
    );
    this.#sums?.dispose();
    this.#sums = sums;
    this.#samples += at(weights.shape, 0);
  }

  /** What was added so far, for a checkpoint; empty sums before the first step. */
  state(): MatchingState {
    return { sums: this.#sums?.toNumbers() ?? [], samples: this.#samples };
  }

  /** Puts back what `state` gave. */
  restore({ sums, samples }: MatchingState): void {
    const stages = this.#stagesPerNetwork.reduce((sum, count) => sum + count, 0);
    this.#sums?.dispose();
    this.#sums =
      sums.length === 0 ? null : keep(Tensor.fromTypedArray(Float64Array.from(sums), [2, stages, stages]));
    this.#samples = samples;
  }

  /**
   * What was added since the last call, and forgets it: `matching/1.2-2.3/mean` and `/spread` (standard deviation over
   * samples and steps) for stage 2 of network 1 and stage 3 of network 2, counted from 1; weights are symmetric, so every
   * pair of stages of different networks comes once.
   */
  take(): Record<string, number> {
    if (this.#sums === null) return {};
    const values = this.#sums.toNumbers();
    const places = this.#stagesPerNetwork.flatMap((stages, network) =>
      Array.from({ length: stages }, (_, stage) => ({ network, name: `${network + 1}.${stage + 1}` })),
    );
    const count = places.length;
    const result: Record<string, number> = {};
    for (const [row, from] of places.entries()) {
      for (const [column, to] of places.entries()) {
        if (to.network <= from.network) continue;
        const mean = at(values, row * count + column, 'the sums of weights') / this.#samples;
        const square = at(values, (count + row) * count + column, 'the sums of squares') / this.#samples;
        result[`matching/${from.name}-${to.name}/mean`] = mean;
        result[`matching/${from.name}-${to.name}/spread`] = Math.sqrt(Math.max(0, square - mean * mean));
      }
    }
    this.#sums.dispose();
    this.#sums = null;
    this.#samples = 0;
    return result;
  }
}
