/** The error of methods that learn without labels. */
import { CohortError } from '@cohort-ml/errors';

/** A self-supervised method lacks what it needs, or has settings that do not fit the images. */
export class SelfSupervisionError extends CohortError {
  override readonly name = 'SelfSupervisionError';
}
