/** Learning-rate schedules: pure functions of the progress in epochs, so that a resumed run needs no state. */
import { ArgumentError } from '../errors.ts';
import { requireFinite } from './optimizer.ts';

/** Learning rate at `epoch`, which may be a fraction: 2.5 is the middle of the third epoch. */
export type Schedule = (epoch: number) => number;

/** Settings that every schedule takes. */
export interface WarmUp {
  /**
   * Epochs of linear rise before the schedule proper; counted as part of it. The rise starts from a tenth of
   * `learningRate`: from zero, the first step (or, asked once an epoch, the whole first epoch) would be lost.
   */
  readonly warmupEpochs?: number;
}

const warmUpStart = 0.1;

function withWarmUp(warmupEpochs: number, base: number, schedule: Schedule): Schedule {
  requireFinite('schedule', { warmupEpochs, learningRate: base });
  return (epoch) => {
    requireFinite('schedule', { epoch });
    if (epoch >= warmupEpochs) return schedule(epoch);
    return base * (warmUpStart + (1 - warmUpStart) * (epoch / warmupEpochs));
  };
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
  requireFinite('cosine', { epochs, finalLearningRate });
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
  requireFinite('multiStep', { factor, ...Object.fromEntries(milestones.entries()) });
  return withWarmUp(warmupEpochs, learningRate, (epoch) => {
    const passed = milestones.filter((milestone) => epoch >= milestone).length;
    return learningRate * factor ** passed;
  });
}

/** The same `learningRate` throughout. */
export function constant(options: WarmUp & { readonly learningRate: number }): Schedule {
  return withWarmUp(options.warmupEpochs ?? 0, options.learningRate, () => options.learningRate);
}
