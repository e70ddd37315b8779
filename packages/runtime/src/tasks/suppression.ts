/** Non-maximum suppression as Cohort does it: greedy, class by class, every operation rounded to float32. */

/** Boxes x0, y0, x1, y1 in a row. */
export type BoxArray = Float32Array;

/** Places in descending order of score; equal scores keep their order. */
export function byScore(scores: ArrayLike<number>): number[] {
  return Array.from({ length: scores.length }, (_, index) => index).sort(
    (left, right) => (scores[right] ?? 0) - (scores[left] ?? 0) || left - right,
  );
}

/**
 * Of boxes of a class that overlap by more than the threshold, the one with the highest score stays.
 *
 * @returns places of the boxes that stay, in descending order of score
 */
export function suppressByClass(
  boxes: BoxArray,
  scores: readonly number[],
  classes: readonly number[],
  threshold: number,
): number[] {
  const kept: number[] = [];
  const keptByClass = new Map<number, number[]>();
  for (const place of byScore(scores)) {
    const name = classes[place] ?? 0;
    const rivals = keptByClass.get(name) ?? [];
    if (rivals.some((rival) => overlap(boxes, rival, place) > threshold)) continue;
    rivals.push(place);
    keptByClass.set(name, rivals);
    kept.push(place);
  }
  return kept;
}

function overlap(boxes: BoxArray, left: number, right: number): number {
  // By place: thousands of proposals make this the slowest part of a detector.
  const at = (place: number): number => boxes[place] ?? NaN;
  const [i, j] = [4 * left, 4 * right];
  const a0 = at(i);
  const b0 = at(i + 1);
  const a1 = at(i + 2);
  const b1 = at(i + 3);
  const c0 = at(j);
  const d0 = at(j + 1);
  const c1 = at(j + 2);
  const d1 = at(j + 3);
  const width = Math.min(a1, c1) - Math.max(a0, c0);
  if (!(width > 0)) return 0;
  const shared = area(width, Math.min(b1, d1) - Math.max(b0, d0));
  if (shared === 0) return 0;
  const total = Math.fround(area(a1 - a0, b1 - b0) + area(c1 - c0, d1 - d0));
  return Math.fround(shared / Math.fround(total - shared));
}

function area(width: number, height: number): number {
  return width > 0 && height > 0 ? Math.fround(Math.fround(width) * Math.fround(height)) : 0;
}
