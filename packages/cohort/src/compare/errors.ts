/** The typed error of comparisons: what was being done, what was expected and received, and what to do. */

import { CohortError } from '@cohort-ml/errors';

/** A comparison was asked for something that cannot be compared, or its folder cannot be used. */
export class CompareError extends CohortError {
  override readonly name = 'CompareError';

  constructor(operation: string, expected: string, received: string, remedy: string, options?: ErrorOptions) {
    super({ operation, expected, received, remedy }, options);
  }
}
