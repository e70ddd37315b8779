/** Watches over a training: steps and methods' own steps that are not finite, a diverging loss, a stalled loader. */
import { CohortError } from '@cohort-ml/errors';
import type { nn, Tensor } from '@cohort-ml/torch';
import { noGrad } from '@cohort-ml/torch';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import type { TrainingState } from '../../checkpoints/checkpointInfo.ts';
import { formatDuration } from '../../progress/progressText.ts';
import { NotFiniteError } from '../../support/notFiniteError.ts';

/** Settings of the guards. */
export type GuardSettings = ResolvedRecipe['train']['guards'];

/** What the guards have seen, as checkpoints hold it. */
export type GuardState = TrainingState['guards'];

/** A training whose loss diverged was stopped. */
export class DivergenceError extends CohortError {
  override readonly name = 'DivergenceError';
}

/** Share of the last loss in the smoothed one: about the last fifty steps count. */
const smoothing = 0.02;

/** How often a training that waits for a batch checks whether it should end. */
const stopPollMs = 100;

/** The guards of one training. */
export class Guards {
  readonly #settings: GuardSettings;
  readonly #warn: (text: string) => void;
  #state: GuardState;

  constructor(settings: GuardSettings, warn: (text: string) => void, state: GuardState | null = null) {
    this.#settings = settings;
    this.#warn = warn;
    this.#state = state ?? {
      skippedInARow: 0,
      skipped: 0,
      methodSkippedInARow: 0,
      methodSkipped: 0,
      startLoss: null,
      smoothedLoss: null,
      bestLoss: null,
      stepsAbove: 0,
    };
  }

  /** What has been seen so far. */
  get state(): GuardState {
    return this.#state;
  }

  /** Whether a step that is not finite may be left out. */
  get isSkipping(): boolean {
    return this.#settings.notFinite === 'skip';
  }

  /**
   * Counts a step that was left out.
   * @throws {NotFiniteError} the step's own, when there were too many in a row
   */
  skipped(error: NotFiniteError): void {
    const { skippedInARow, skipped } = this.#state;
    this.#state = { ...this.#state, skippedInARow: skippedInARow + 1, skipped: skipped + 1 };
    const { maximumSkips } = this.#settings;
    if (skippedInARow + 1 > maximumSkips) throw error.afterSkips(maximumSkips);
    if (skippedInARow === 0) {
      this.#warn(
        `${error.what}: the step is left out (${skipped + 1} so far; train.guards.notFinite is skip).`,
      );
    }
  }

  /**
   * Counts a step of the method's own, e.g. a meta step, that was left out; the training step before it counts.
   * @throws {NotFiniteError} its own, when there were too many in a row
   */
  methodSkipped(error: NotFiniteError): void {
    const { methodSkippedInARow, methodSkipped } = this.#state;
    this.#state = {
      ...this.#state,
      methodSkippedInARow: methodSkippedInARow + 1,
      methodSkipped: methodSkipped + 1,
    };
    const { maximumSkips } = this.#settings;
    if (methodSkippedInARow + 1 > maximumSkips) throw error.afterSkips(maximumSkips, "of the method's own ");
    if (methodSkippedInARow === 0) {
      this.#warn(
        `${error.what}: the method's own step is left out (${methodSkipped + 1} so far; train.guards.notFinite is skip).`,
      );
    }
  }

  /** Records that a step of the method's own was taken. */
  methodTaken(): void {
    if (this.#state.methodSkippedInARow > 0) this.#state = { ...this.#state, methodSkippedInARow: 0 };
  }

  /**
   * Looks at the loss of a step that was taken.
   * @throws {DivergenceError} when it has run away and the recipe says to stop then
   */
  taken(loss: number, where: string): void {
    const { divergence, divergenceFactor, divergenceSteps } = this.#settings;
    const before = this.#state;
    const smoothedLoss =
      before.smoothedLoss === null ? loss : before.smoothedLoss + smoothing * (loss - before.smoothedLoss);
    const startLoss = before.startLoss ?? loss;
    const bestLoss = Math.min(before.bestLoss ?? smoothedLoss, smoothedLoss);
    // Far above its best alone says little late in a training, when the best is near zero.
    const isAbove = smoothedLoss > Math.max(startLoss, divergenceFactor * bestLoss);
    const stepsAbove = isAbove ? before.stepsAbove + 1 : 0;
    this.#state = { ...before, skippedInARow: 0, smoothedLoss, startLoss, bestLoss, stepsAbove };
    if (divergence === 'off' || stepsAbove !== divergenceSteps) return;
    const text = `The loss has diverged: it averages ${smoothedLoss.toPrecision(4)} over the last steps (best: ${bestLoss.toPrecision(4)}) and has stayed above its starting value (${startLoss.toPrecision(4)}) for ${divergenceSteps} steps, ${where}. Lower train.optimizer.learningRate or lengthen train.schedule.warmupEpochs.`;
    if (divergence === 'stop') throw new DivergenceError(text);
    this.#warn(text);
  }

  /**
   * Waits for a batch, and warns when it takes long: after the seconds of the recipe, then each time that twice as many
   * have passed.
   * @param what the batch, in words
   * @param isStopping whether the training is to end, which it need not wait with for a loader that stands still
   * @returns whether the batch is there
   */
  async awaitBatch(
    ready: Promise<void>,
    what: string,
    isStopping: () => boolean = () => false,
  ): Promise<boolean> {
    const { stalledLoaderSeconds } = this.#settings;
    let warnAfter = stalledLoaderSeconds ?? Infinity;
    const startedAt = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const stopped = new Promise<boolean>((resolve) => {
      const everyMs = Math.min(stopPollMs, warnAfter * 1000);
      timer = setInterval(() => {
        if (isStopping()) resolve(false);
        const seconds = (performance.now() - startedAt) / 1000;
        if (seconds < warnAfter) return;
        warnAfter *= 2;
        this.#warn(
          `No batch for ${formatDuration(seconds)}: the training waits for ${what}. Check the disk or network drive that the images are on.`,
        );
      }, everyMs);
    });
    try {
      return await Promise.race([ready.then(() => true), stopped]);
    } finally {
      clearInterval(timer);
    }
  }
}

/**
 * Remembers what a forward pass changes by itself, running statistics above all: those of a step that is not finite are
 * not either, and would ruin all evaluations to come.
 */
export class Buffers {
  readonly #copies: readonly (readonly [buffer: Tensor, copy: Tensor])[];

  constructor(modules: readonly (readonly [string, nn.AnyModule])[]) {
    this.#copies = modules.flatMap(([, module]) => {
      const parameters = new Set<Tensor>(module.parameters());
      return [...module.stateDict().values()]
        .filter((tensor) => !parameters.has(tensor))
        .map((buffer) => [buffer, noGrad(() => buffer.clone())] as const);
    });
  }

  /** Puts everything back. */
  restore(): void {
    noGrad(() => {
      for (const [buffer, copy] of this.#copies) buffer.copy_(copy);
    });
  }
}
