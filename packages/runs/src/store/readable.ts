/** Reading what a damaged run folder still gives: each part that cannot be read is replaced, and its problem kept. */
import { errorText } from '@cohort-ml/errors';
import { RunError } from '../errors.ts';

/** Reads a part; where that throws a {@link RunError}, gives `otherwise`. */
export type Readable = <Value>(read: () => Value, otherwise: Value) => Value;

/** A reader that adds what is wrong with each unreadable part to `problems`. Other errors come out as they are. */
export function readableInto(problems: string[]): Readable {
  return (read, otherwise) => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      problems.push(errorText(error));
      return otherwise;
    }
  };
}
