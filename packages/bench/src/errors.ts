/** The typed error of benchmarks: what was being measured, what was expected, what came, and what to do. */

/** A benchmark was asked for something that there is not, or one of its programs failed. */
export class BenchError extends Error {
  override readonly name = 'BenchError';

  constructor(operation: string, expected: string, got: string, remedy: string) {
    super(`${operation}: expected ${expected}, got ${got}. ${remedy}`);
  }
}
