/** Reads the queries of requests: what is not as it should be is refused with a sentence. */
import type { Context } from 'hono';
import type { XAxis } from '../api/types.ts';

/** A request that cannot be answered as it is. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly status: 400 | 403 | 404 | 409;

  constructor(status: 400 | 403 | 404 | 409, message: string) {
    super(message);
    this.status = status;
  }
}

/** Values of a list with commas between. */
export function listQuery(context: Context, name: string, most: number): string[] {
  const values = (context.req.queries(name) ?? [])
    .flatMap((text) => text.split(','))
    .filter((text) => text !== '');
  if (values.length > most) {
    throw new RequestError(400, `${name}: at most ${most} values can be asked for at once. Ask for fewer.`);
  }
  return values;
}

/** A finite number; null where it is not given. */
export function numberQuery(
  context: Context,
  name: string,
  least = -Infinity,
  most = Infinity,
): number | null {
  const text = context.req.query(name);
  if (text === undefined || text === '') return null;
  const value = Number(text);
  if (Number.isFinite(value) && value >= least && value <= most) return value;
  throw new RequestError(
    400,
    `${name}: ${JSON.stringify(text)} is no number that can be used. Give one from ${least} to ${most}.`,
  );
}

/** One of these words; the first unless given. */
export function choiceQuery<Choice extends string>(
  context: Context,
  name: string,
  choices: readonly [Choice, ...Choice[]],
): Choice {
  const text = context.req.query(name) ?? choices[0];
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new RequestError(
    400,
    `${name}: ${JSON.stringify(text)} is unknown. Give one of ${choices.join(', ')}.`,
  );
}

/** Horizontal axes. */
export const AXES: readonly [XAxis, ...XAxis[]] = ['step', 'epoch', 'time'];
