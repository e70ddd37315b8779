/** The error that losses throw for invalid arguments. */

import { CohortError } from '@cohort-ml/errors';

/** A loss was given something it is not defined for. */
export class LossError extends CohortError {
  override readonly name = 'LossError';
  override readonly isProgrammingError = true;

  constructor(operation: string, expected: string, got: string) {
    super(`${operation}: ${expected}, got ${got}.`);
  }
}
