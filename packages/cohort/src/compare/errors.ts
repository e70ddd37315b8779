/** The typed error of comparisons: what was being done, what was expected, what was found, and what to do. */

/** A comparison was asked for something that cannot be compared, or its folder cannot be used. */
export class CompareError extends Error {
  override readonly name = 'CompareError';

  constructor(operation: string, expected: string, got: string, remedy: string, options?: ErrorOptions) {
    super(`${operation}: expected ${expected}, got ${got}. ${remedy}`, options);
  }
}
