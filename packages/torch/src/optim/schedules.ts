/** Learning-rate schedules: pure functions of the progress in epochs, so that a resumed run needs no state. */
import { ArgumentError } from '../errors.ts';

/** Learning rate at `epoch`, which may be a fraction: 2.5 is the middle of the third epoch. */
export type Schedule = (epoch: number) => number;

/** Settings that every schedule takes. */
export interface WarmUp {
  /** Epochs of linear rise from 0 before the schedule proper; counted as part of it. */
  readonly warmupEpochs?: number;
}

function withWarmUp(warmupEpochs: number, base: number, schedule: Schedule): Schedule {
  if (!(warmupEpochs >= 0))
    throw new ArgumentError('schedule', `warmupEpochs must be 0 or more, got ${warmupEpochs}.`);
  return (epoch) => (epoch < warmupEpochs ? (base * epoch) / warmupEpochs : schedule(epoch));
}

/** Half a cosine from `learningRate` down to `finalLearningRate` (Loshchilov and Hutter, arXiv 1608.03983, eq. 5, one cycle). */
export function cosine(
  options: WarmUp & {
    readonly learningRate: number;
    readonly epochs: number;
    readonly finalLearningRate?: number;
  },
): Schedule {
  const { learningRate, epochs, finalLearningRate = 0, warmupEpochs = 0 } = options;
  if (!(epochs > warmupEpochs))
    throw new ArgumentError('cosine', `epochs (${epochs}) must be more than warmupEpochs (${warmupEpochs}).`);
  return withWarmUp(warmupEpochs, learningRate, (epoch) => {
    const progress = Math.min(1, (epoch - warmupEpochs) / (epochs - warmupEpochs));
    return finalLearningRate + ((learningRate - finalLearningRate) * (1 + Math.cos(Math.PI * progress))) / 2;
  });
}

/** `learningRate`, multiplied by `factor` at each of the `milestones` (epochs). */
export function multiStep(
  options: WarmUp & {
    readonly learningRate: number;
    readonly milestones: readonly number[];
    readonly factor?: number;
  },
): Schedule {
  const { learningRate, milestones, factor = 0.1, warmupEpochs = 0 } = options;
  return withWarmUp(warmupEpochs, learningRate, (epoch) => {
    const passed = milestones.filter((milestone) => epoch >= milestone).length;
    return learningRate * factor ** passed;
  });
}

/** The same `learningRate` throughout. */
export function constant(options: WarmUp & { readonly learningRate: number }): Schedule {
  return withWarmUp(options.warmupEpochs ?? 0, options.learningRate, () => options.learningRate);
}
