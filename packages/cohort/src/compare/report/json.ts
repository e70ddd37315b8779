/** JSON as the files of a comparison hold it, and what is wrong with it. */
import * as z from 'zod';

/** JSON has no NaN and no infinity; they are written as text, as in the run folder's metrics. */
export function jsonOf(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_, part: unknown) => (typeof part === 'number' && !Number.isFinite(part) ? String(part) : part),
    indent,
  );
}

/** The first of what a schema found wrong, with its place; else the first line of the message. */
export function firstProblem(error: Error): string {
  if (!(error instanceof z.ZodError)) return error.message.split('\n')[0] ?? '';
  const [issue] = error.issues;
  return issue === undefined ? error.message : `${issue.path.map(String).join('.')}: ${issue.message}`;
}
