/** The error when a network cannot be built or cannot process an image. */

import { CohortError } from '@cohort-ml/errors';

/** An architecture's name, its settings or the images given to it do not fit. */
export class ModelError extends CohortError {
  override readonly name = 'ModelError';
}

/** The error of `createStage` for a number that no stage has. */
export function missingStage(index: number, stages: number): ModelError {
  return new ModelError(`createStage: expected a stage from 0 to ${stages - 1}, got ${index}.`);
}

/** The error of `createStage` for a short form that does not exist, because each block's width depends on those before. */
export function noShortForm(architecture: string): ModelError {
  return new ModelError(
    `${architecture} has no short stages, since every block adds channels that the next stage counts on. Set method.refinement to full, or use another model.`,
  );
}
