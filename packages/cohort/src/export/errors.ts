/** What an export can fail with. */
import { CohortError } from '@cohort-ml/errors';

/** A run that cannot be exported as asked, or whose exported file does not compute what the run's networks do. */
export class ExportError extends CohortError {
  override readonly name = 'ExportError';
}
