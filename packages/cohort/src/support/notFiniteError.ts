/** The error of a training whose numbers are no longer finite; the loop, its guards and the checkpoints throw it. */

import { CohortError } from '@cohort-ml/errors';

/** A loss term or a weight became infinite or not a number. */
export class NotFiniteError extends CohortError {
  override readonly name = 'NotFiniteError';
  /** What became of which value and where. */
  readonly what: string;

  /**
   * @param what what became of which value and where: `The loss term 'vcl' became NaN in epoch 3, step 120`
   * @param lastGood the checkpoint to fall back to; null where none was written, left out where none is known of
   */
  constructor(what: string, lastGood?: string | null) {
    const kept =
      lastGood === null ? ' No checkpoint was written before.' : ` The last good checkpoint is ${lastGood}.`;
    const remedy =
      'Lower train.optimizer.learningRate, lengthen train.schedule.warmupEpochs, or raise method.temperature if the method has it.';
    super(what, { remedy: `${remedy}${lastGood === undefined ? '' : kept}` });
    this.what = what;
  }

  /** The same error, with the checkpoint to fall back to. */
  withLastGood(lastGood: string | null): NotFiniteError {
    return new NotFiniteError(this.what, lastGood);
  }

  /** The same error, after so many steps (`of some kind `, with the space) in a row that were left out for its sake. */
  afterSkips(count: number, kind = ''): NotFiniteError {
    return new NotFiniteError(`${this.what}, after ${count} steps ${kind}in a row that were left out`);
  }
}
