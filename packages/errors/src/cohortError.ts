/** The base of every error that Cohort's packages throw on purpose, so that programs recognise them by class and people read one dialect. */

/** What an error says about an operation that was given something it cannot use. */
export interface ErrorParts {
  /** What was being done, with the name of the thing concerned: `reading IDX file /a/b.gz`. */
  readonly operation: string;
  /** What the operation needs, as a noun phrase. */
  readonly expected: string;
  /** What it was given instead, as a noun phrase. */
  readonly received: string;
  /** What to do about it, as one or more full sentences. */
  readonly remedy?: string;
}

/** What an error carries besides its message. */
export interface CohortErrorOptions extends ErrorOptions {
  /** What to do about it, as one or more full sentences; for errors whose first argument is a sentence. */
  readonly remedy?: string;
  /** What was being done, where the sentence does not say it. */
  readonly operation?: string;
}

/**
 * An error with a message of one form: `<operation>: expected <expected>, got <received>. <remedy>`, or a plain sentence
 * followed by the remedy.
 */
export class CohortError extends Error {
  override readonly name: string = 'CohortError';
  readonly operation: string | undefined;
  readonly expected: string | undefined;
  readonly received: string | undefined;
  readonly remedy: string | undefined;
  /** True for errors that only a mistake in code can cause, which are worth a stack trace; false for bad input or a bad machine. */
  readonly isProgrammingError: boolean = false;

  /** @param problem its parts, or a sentence that says what is wrong */
  constructor(problem: string | ErrorParts, options: CohortErrorOptions = {}) {
    const cause = options.cause === undefined ? {} : { cause: options.cause };
    if (typeof problem === 'string') {
      const sentence = options.operation === undefined ? problem : `${options.operation}: ${problem}`;
      super(withRemedy(sentence, options.remedy), cause);
      this.operation = options.operation;
      this.remedy = options.remedy;
    } else {
      const { operation, expected, received, remedy = options.remedy } = problem;
      super(withRemedy(`${operation}: expected ${expected}, got ${received}`, remedy), cause);
      this.operation = operation;
      this.expected = expected;
      this.received = received;
      this.remedy = remedy;
    }
  }
}

function withRemedy(sentence: string, remedy: string | undefined): string {
  if (remedy === undefined) return sentence;
  // A list of lines is followed by a line of its own.
  if (sentence.endsWith('\n')) return `${sentence}${remedy}`;
  return `${sentence}${/[.!?]$/.test(sentence) ? '' : '.'} ${remedy}`;
}
