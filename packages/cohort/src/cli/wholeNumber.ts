/** Counts on the command line. */
import { InvalidArgumentError } from 'commander';

/** A parser of whole numbers from `least` to `most`, for an option's argument. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(
      most === Number.MAX_SAFE_INTEGER
        ? `Expected a whole number of at least ${least}.`
        : `Expected a whole number from ${least} to ${most.toLocaleString('en-US')}.`,
    );
  };
}
