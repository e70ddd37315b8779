/** The error of preprocessing, so that callers can tell a bad argument from a fault in the code. */

/** An argument that preprocessing cannot work with. */
export class PreprocessError extends Error {
  override readonly name = 'PreprocessError';

  /**
   * @param problem what is wrong, as a clause
   * @param remedy what to do about it, as a sentence
   */
  constructor(problem: string, remedy: string) {
    super(`preprocessing an image: ${problem}. ${remedy}`);
  }
}
