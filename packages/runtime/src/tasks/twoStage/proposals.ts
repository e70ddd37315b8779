/** The proposals of Faster R-CNN's first stage (Ren et al., arXiv 1506.01497, section 3.1), chosen as `cohort predict` does. */
import { ModelFileError } from '../../errors.ts';
import type { Size } from '../fit.ts';
import { byScore, suppressByClass, type BoxArray } from '../suppression.ts';
import type { Stages } from './stages.ts';

/** Of two proposals of a level that overlap by more than this, the likelier stays. */
const mostOverlap = 0.7;
/** Proposals with a shorter side are left out; in pixels. */
const leastSide = 1e-3;

/** The boxes at some places, in that order. */
export function takeBoxes(boxes: BoxArray, places: readonly number[]): BoxArray {
  const taken = new Float32Array(4 * places.length);
  for (const [index, place] of places.entries())
    taken.set(boxes.subarray(4 * place, 4 * place + 4), 4 * index);
  return taken;
}

/** Moves corners inside a picture; `boxes` is changed. */
export function clipBoxes(boxes: BoxArray, { height, width }: Size): BoxArray {
  for (let side = 0; side < boxes.length; side++) {
    boxes[side] = Math.min(Math.max(boxes[side] ?? NaN, 0), side % 2 === 0 ? width : height);
  }
  return boxes;
}

/** Whether both sides of a box are at least so long. */
export function isLarge(boxes: BoxArray, place: number, least: number): boolean {
  const side = (axis: number): number =>
    Math.fround((boxes[4 * place + 2 + axis] ?? NaN) - (boxes[4 * place + axis] ?? NaN));
  return side(0) >= least && side(1) >= least;
}

/**
 * The likeliest proposals, cut off at the border of the picture.
 *
 * @param objectness of each anchor, before the sigmoid, `[A]`
 * @param boxes `[A, 4]` in pixels of the input
 * @throws {ModelFileError} where there are more or fewer anchors than the manifest says
 */
export function chooseProposals(
  objectness: Float32Array,
  boxes: BoxArray,
  { levelCounts, before, after }: Stages,
  picture: Size,
): BoxArray {
  const anchors = levelCounts.reduce((sum, own) => sum + own, 0);
  if (objectness.length !== anchors || boxes.length !== 4 * anchors) {
    throw new ModelFileError(
      `The model gives ${boxes.length / 4} proposals, and the manifest says ${anchors}. Export the folder again.`,
    );
  }
  const places: number[] = [];
  const levels: number[] = [];
  let start = 0;
  for (const [level, own] of levelCounts.entries()) {
    for (const place of byScore(objectness.subarray(start, start + own)).slice(0, before)) {
      places.push(start + place);
      levels.push(level);
    }
    start += own;
  }
  const clipped = clipBoxes(takeBoxes(boxes, places), picture);
  const large = [...places.keys()].filter((index) => isLarge(clipped, index, leastSide));
  const chosen = takeBoxes(clipped, large);
  const scores = large.map((index) => objectness[places[index] ?? 0] ?? 0);
  const ownLevels = large.map((index) => levels[index] ?? 0);
  return takeBoxes(chosen, suppressByClass(chosen, scores, ownLevels, mostOverlap).slice(0, after));
}
