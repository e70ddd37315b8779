/** Which true box an anchor or a proposal is to learn: the one that it overlaps most, by thresholds. */
import { boxCount, overlaps, type BoxArray } from './boxes.ts';

/** What an anchor learns instead of a place of a true box. */
export const UNMATCHED = { background: -1, ignored: -2 } as const;

/** Thresholds of a match. */
export interface MatchSettings {
  /** From this overlap on, a candidate learns the box. */
  readonly foreground: number;
  /** Below this one it learns that there is nothing; in between it learns nothing. */
  readonly background: number;
  /** Lets every true box have the candidates that overlap it most, however little that is. */
  readonly keepsBest?: boolean;
}

/**
 * Place of the true box of each candidate, or {@link UNMATCHED}.
 *
 * @param truth boxes of the image; without any, all candidates are background
 */
export function matchBoxes(candidates: BoxArray, truth: BoxArray, settings: MatchSettings): Int32Array {
  const count = boxCount(candidates);
  const trueCount = boxCount(truth);
  const matches = new Int32Array(count).fill(UNMATCHED.background);
  if (trueCount === 0) return matches;
  const measures = overlaps(candidates, truth); // [count, trueCount]
  const best = new Int32Array(count);
  const bestOfTruth = new Float32Array(trueCount);
  for (let row = 0; row < count; row += 1) {
    let greatest = -1;
    for (let column = 0; column < trueCount; column += 1) {
      const value = measures[row * trueCount + column] ?? 0;
      if (value > greatest) {
        greatest = value;
        best[row] = column;
      }
      if (value > (bestOfTruth[column] ?? 0)) bestOfTruth[column] = value;
    }
    matches[row] =
      greatest < settings.background
        ? UNMATCHED.background
        : greatest < settings.foreground
          ? UNMATCHED.ignored
          : (best[row] ?? 0);
  }
  if (settings.keepsBest !== true) return matches;
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < trueCount; column += 1) {
      // As published: such a candidate learns the box that *it* overlaps most, which may be another one.
      if ((measures[row * trueCount + column] ?? 0) === bestOfTruth[column]) matches[row] = best[row] ?? 0;
    }
  }
  return matches;
}
