/** The typed error of transfer: a probe was asked for something that cannot be measured. */
import { CohortError } from '@cohort-ml/errors';

/** One sentence for what is wrong, and one for what to do. */
export class ProbeError extends CohortError {
  override readonly name = 'ProbeError';

  /**
   * @param problem what is wrong, a sentence with its full stop
   * @param remedy what to do, a sentence with its full stop
   */
  constructor(problem: string, remedy: string, options?: ErrorOptions) {
    super(problem, { ...options, remedy });
  }
}
