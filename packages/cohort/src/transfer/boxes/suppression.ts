/** Non-maximum suppression: of boxes that overlap, the one with the highest score stays. */
import { areasOf, boxCount, intersection, type BoxArray } from './boxes.ts';

/** Places in descending order of score; equal scores keep their order. */
export function byScore(scores: ArrayLike<number>): number[] {
  return Array.from({ length: scores.length }, (_, index) => index).sort(
    (left, right) => (scores[right] ?? 0) - (scores[left] ?? 0) || left - right,
  );
}

/**
 * Greedy suppression: a box goes where it overlaps one that stays by *more* than the threshold.
 *
 * @returns places of the boxes that stay, in descending order of score; equal scores keep their order
 */
export function suppress(boxes: BoxArray, scores: ArrayLike<number>, threshold: number): number[] {
  return suppressByClass(boxes, scores, null, threshold);
}

/**
 * As {@link suppress}, among boxes of the same class only.
 *
 * @param classes of each box; null where all are of one
 */
export function suppressByClass(
  boxes: BoxArray,
  scores: ArrayLike<number>,
  classes: ArrayLike<number> | null,
  threshold: number,
): number[] {
  const count = boxCount(boxes);
  if (scores.length !== count || (classes !== null && classes.length !== count)) {
    throw new RangeError(
      `Expected a score and a class for each of ${count} boxes, got ${scores.length} scores and ${classes?.length ?? count} classes.`,
    );
  }
  const areas = areasOf(boxes);
  const kept: number[] = [];
  const keptByClass = new Map<number, number[]>();
  for (const place of byScore(scores)) {
    const name = classes?.[place] ?? 0;
    const rivals = keptByClass.get(name) ?? [];
    if (rivals.some((rival) => overlap(boxes, areas, rival, place) > threshold)) continue;
    rivals.push(place);
    keptByClass.set(name, rivals);
    kept.push(place);
  }
  return kept;
}

function overlap(boxes: BoxArray, areas: Float32Array, left: number, right: number): number {
  const shared = intersection(boxes, left, boxes, right);
  if (shared === 0) return 0;
  const total = Math.fround((areas[left] ?? 0) + (areas[right] ?? 0));
  return Math.fround(shared / Math.fround(total - shared));
}
