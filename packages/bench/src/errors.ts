/** The typed error of benchmarks: what was being measured, what was expected and received, and what to do. */

import { CohortError } from '@cohort-ml/errors';

/** A benchmark was asked for something that there is not, or one of its programs failed. */
export class BenchError extends CohortError {
  override readonly name = 'BenchError';

  constructor(operation: string, expected: string, received: string, remedy: string) {
    super({ operation, expected, received, remedy });
  }
}
