/** Early stopping: remembers the best epoch on validation images, and when to end a training that gets no better. */
import type { CohortScore } from '../../evaluate/accuracy.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { scoreTitle } from '../../support/score.ts';
import type { TrainingState } from '../../checkpoints/checkpointInfo.ts';

/** The recipe's section. */
export type EarlyStoppingSettings = NonNullable<ResolvedRecipe['train']['earlyStopping']>;

/** What it remembers, as checkpoints hold it. */
export type EarlyStoppingState = NonNullable<TrainingState['earlyStopping']>;

/** Watches the validation scores of one training. */
export class EarlyStopping {
  readonly #settings: EarlyStoppingSettings;
  #state: EarlyStoppingState | null;

  constructor(settings: EarlyStoppingSettings, state: EarlyStoppingState | null = null) {
    this.#settings = settings;
    this.#state = state;
  }

  /** Null before the first evaluation. */
  get state(): EarlyStoppingState | null {
    return this.#state;
  }

  /** Whether there was no improvement for as many evaluations as the patience allows. */
  get isOver(): boolean {
    return (this.#state?.waited ?? 0) >= this.#settings.patience;
  }

  /**
   * Takes in an evaluation. Networks of the best score so far are kept however little better it is; what resets the
   * patience is better than the last such score by at least `minimumImprovement`, and by more than nothing.
   *
   * @returns whether these are the best networks so far
   */
  observe(score: CohortScore, epoch: number, step: number): boolean {
    const value = this.#valueOf(score);
    const before = this.#state;
    if (before === null) {
      this.#state = { best: value, bestEpoch: epoch, bestStep: step, reference: value, waited: 0 };
      return true;
    }
    const isBest = this.#gain(value, before.best) > 0;
    const gained = this.#gain(value, before.reference);
    const isImprovement = gained > 0 && gained >= this.#settings.minimumImprovement;
    this.#state = {
      ...(isBest ? { best: value, bestEpoch: epoch, bestStep: step } : before),
      reference: isImprovement ? value : before.reference,
      waited: isImprovement ? 0 : before.waited + 1,
    };
    return isBest;
  }

  /** In words, for the user. @param scoreName what accuracy stands for */
  describe(scoreName = 'accuracy'): string {
    const { best, bestEpoch, waited } = this.#state ?? { best: NaN, bestEpoch: 0, waited: 0 };
    const isAccuracy = this.#settings.metric === 'accuracy';
    const shown = isAccuracy
      ? `${scoreTitle(scoreName)} ${(100 * best).toFixed(2)}%`
      : `negative log-likelihood ${best.toFixed(4)}`;
    return `the best epoch on validation images was ${bestEpoch} (mean ${shown}), and the last ${waited === 1 ? 'evaluation' : `${waited} evaluations`} did not improve on it`;
  }

  #gain(value: number, from: number): number {
    return this.#settings.metric === 'accuracy' ? value - from : from - value;
  }

  #valueOf({ networks }: CohortScore): number {
    const values = networks.map(({ accuracy, negativeLogLikelihood }) =>
      this.#settings.metric === 'accuracy' ? accuracy : negativeLogLikelihood,
    );
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  }
}
