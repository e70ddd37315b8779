/** Ranks do not fit together, or a recipe cannot be trained on several. */
import { CohortError } from '@cohort-ml/errors';

/** A recipe cannot be trained on several ranks, or ranks do not fit together. */
export class DistributionError extends CohortError {
  override readonly name = 'DistributionError';
}
