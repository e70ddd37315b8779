/** What is wrong when a network cannot be built or cannot take an image. */

/** An architecture's name, its settings or the images given to it do not fit. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** The error of `createStage` for a number that no stage has. */
export function missingStage(index: number, stages: number): ModelError {
  return new ModelError(`createStage: expected a stage from 0 to ${stages - 1}, got ${index}.`);
}
