/** The error that losses throw for invalid arguments. */

/** A loss received arguments for which it is not defined. */
export class LossError extends Error {
  override readonly name = 'LossError';

  constructor(operation: string, expected: string, got: string) {
    super(`${operation}: ${expected}, got ${got}.`);
  }
}
