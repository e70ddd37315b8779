/** Union, intersection and overlap of masks, run by run, without making pixels of them. */
import { checkRunLengths, maskArea, type RunLengths } from './runLengths.ts';

function assertSameSize(left: RunLengths, right: RunLengths): void {
  if (left.height === right.height && left.width === right.width) return;
  throw new RangeError(
    `Masks of ${left.width} by ${left.height} and ${right.width} by ${right.height} pixels cannot be combined. Bring them to one size first.`,
  );
}

/** Both masks' runs side by side: calls `take` with every stretch in which neither changes. */
function walk(
  left: RunLengths,
  right: RunLengths,
  take: (length: number, inLeft: boolean, inRight: boolean) => void,
): void {
  assertSameSize(left, right);
  let [i, j] = [0, 0];
  let [leftRest, rightRest] = [left.counts[0] ?? 0, right.counts[0] ?? 0];
  for (;;) {
    while (leftRest === 0 && i + 1 < left.counts.length) leftRest = left.counts[(i += 1)] ?? 0;
    while (rightRest === 0 && j + 1 < right.counts.length) rightRest = right.counts[(j += 1)] ?? 0;
    const length = Math.min(leftRest, rightRest);
    if (length === 0) return;
    take(length, i % 2 === 1, j % 2 === 1);
    leftRest -= length;
    rightRest -= length;
  }
}

function combine(
  left: RunLengths,
  right: RunLengths,
  isIn: (inLeft: boolean, inRight: boolean) => boolean,
): RunLengths {
  const counts: number[] = [0];
  let isInside = false;
  walk(left, right, (length, inLeft, inRight) => {
    if (isIn(inLeft, inRight) === isInside) counts[counts.length - 1] = (counts.at(-1) ?? 0) + length;
    else {
      counts.push(length);
      isInside = !isInside;
    }
  });
  return checkRunLengths({ ...left, counts });
}

/** Pixels of either mask. @throws {RangeError} for masks of different sizes */
export function maskUnion(left: RunLengths, right: RunLengths): RunLengths {
  return combine(left, right, (inLeft, inRight) => inLeft || inRight);
}

/** Pixels of both masks. @throws {RangeError} for masks of different sizes */
export function maskIntersection(left: RunLengths, right: RunLengths): RunLengths {
  return combine(left, right, (inLeft, inRight) => inLeft && inRight);
}

/**
 * Intersection over union; 0 for two empty masks.
 *
 * @param isCrowd whether `truth` stands for many objects: the intersection is then taken over `detected` alone
 * @throws {RangeError} for masks of different sizes
 */
export function maskOverlap(detected: RunLengths, truth: RunLengths, isCrowd = false): number {
  let shared = 0;
  walk(detected, truth, (length, inLeft, inRight) => {
    if (inLeft && inRight) shared += length;
  });
  const area = maskArea(detected);
  const whole = isCrowd ? area : area + maskArea(truth) - shared;
  return whole === 0 ? 0 : shared / whole;
}
