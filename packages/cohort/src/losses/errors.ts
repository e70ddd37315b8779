/** What losses throw for inputs that make no sense. */

/** A loss was given something it is not defined for. */
export class LossError extends Error {
  override readonly name = 'LossError';

  constructor(operation: string, expected: string, got: string) {
    super(`${operation}: ${expected}, got ${got}.`);
  }
}
