/** What can be wrong with a recipe, reported all at once: each problem with its place, what was expected and what was received. */

import { CohortError, type CohortErrorOptions, type ErrorParts } from '@cohort-ml/errors';

/** One thing that is wrong with a recipe. */
export interface RecipeProblem {
  /** Dotted path of the setting (`train.optimizer.learningRat`); empty for the recipe as a whole. */
  readonly path: string;
  /** Line in the recipe file, from 1; null when the setting did not come from a file or its line is not known. */
  readonly line: number | null;
  /** Column in the recipe file, from 1; null as for the line. */
  readonly column: number | null;
  /** True when an override on the command line brought the value. */
  readonly fromOverride: boolean;
  /** What is wrong, what was expected and what came, in words. */
  readonly message: string;
  /** The name that was probably meant, when there is one. */
  readonly suggestion: string | null;
}

/** A recipe that cannot be used: not found, not readable, not YAML, or with settings that are wrong. */
export class RecipeError extends CohortError {
  override readonly name: string = 'RecipeError';
  /** Every problem found; empty when the recipe could not be read at all. */
  readonly problems: readonly RecipeProblem[];

  /** @param problem its parts, or a sentence that says what is wrong */
  constructor(
    problem: string | ErrorParts,
    problems: readonly RecipeProblem[] = [],
    options?: CohortErrorOptions,
  ) {
    super(problem, options);
    this.problems = problems;
  }

  /** One error that tells every problem of the recipe called `source`. */
  static fromProblems(source: string, problems: readonly RecipeProblem[]): RecipeError {
    const lines = problems.map(describeProblem);
    const message =
      lines.length === 1
        ? `${source}: ${lines.join('')}`
        : `${source} has ${lines.length} problems:\n${lines.map((line) => `  ${line}`).join('\n')}`;
    return new RecipeError(message, problems);
  }
}

/** An override that is not of the form `key=value`: wrong usage rather than a wrong recipe. */
export class OverrideSyntaxError extends RecipeError {
  override readonly name = 'OverrideSyntaxError';
}

/** `train.epochs (line 9): expected ..., got ...` */
export function describeProblem(problem: RecipeProblem): string {
  const place = describePlace(problem);
  if (problem.path === '') return place === '' ? problem.message : `${place}: ${problem.message}`;
  return `${problem.path}${place === '' ? '' : ` (${place})`}: ${problem.message}`;
}

function describePlace(problem: RecipeProblem): string {
  if (problem.fromOverride) return 'from the command line';
  if (problem.line === null) return '';
  return problem.column === null ? `line ${problem.line}` : `line ${problem.line}, column ${problem.column}`;
}
