/** Refuses to classify with networks whose classifiers nothing has trained. */
import { CohortError } from '@cohort-ml/errors';
import { methodFacts } from '../methods/index.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';

/** A run of a method that learns without labels was asked for classes. */
export class UntrainedClassifierError extends CohortError {
  override readonly name = 'UntrainedClassifierError';
}

/**
 * @param run its path, for the message
 * @throws {UntrainedClassifierError} for a run of a method that learns without labels
 */
export function assertTrainedClassifier({ method }: ResolvedRecipe, run: string): void {
  if (methodFacts(method.name)?.isSelfSupervised !== true) return;
  throw new UntrainedClassifierError(
    `${run} was trained without labels (method ${method.name}), so its networks have features but no trained classifier. Train one from its weights, with networks.0.weights=${run} in a recipe for labelled images, or measure the features with cohort probe.`,
  );
}
