/** Boxes as flat arrays `x0, y0, x1, y1, x0, ...` in pixels, and how much they overlap; float32, as detectors compute them. */
import { ops, type Tensor } from '@cohort-ml/torch';

/** Boxes of an image in a row: four numbers per box. */
export type BoxArray = Float32Array;

/** Number of boxes in an array. @throws {RangeError} where its length is no multiple of four */
export function boxCount(boxes: ArrayLike<number>): number {
  if (boxes.length % 4 !== 0) {
    throw new RangeError(
      `Expected four numbers per box, got ${boxes.length} numbers in all. Pass x0, y0, x1, y1 of every box.`,
    );
  }
  return boxes.length / 4;
}

/** Area of box `index`; every operation rounds to float32. */
export function areaOf(boxes: BoxArray, index: number): number {
  const [x0 = NaN, y0 = NaN, x1 = NaN, y1 = NaN] = boxes.subarray(4 * index, 4 * index + 4);
  return Math.fround(Math.fround(x1 - x0) * Math.fround(y1 - y0));
}

/** Areas of all boxes, `[N]`. */
export function areasOf(boxes: BoxArray): Float32Array {
  return Float32Array.from({ length: boxCount(boxes) }, (_, index) => areaOf(boxes, index));
}

/** Intersection over union of every box of `left` with every one of `right`, row by row: `[N * M]`; 0 for boxes without area. */
export function overlaps(left: BoxArray, right: BoxArray): Float32Array {
  const rows = boxCount(left);
  const columns = boxCount(right);
  const leftAreas = areasOf(left);
  const rightAreas = areasOf(right);
  const result = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const shared = intersection(left, row, right, column);
      const union = Math.fround((leftAreas[row] ?? 0) + (rightAreas[column] ?? 0)) - shared;
      result[row * columns + column] = shared === 0 ? 0 : shared / Math.fround(union);
    }
  }
  return result;
}

/** Area that two boxes share, in float32. */
export function intersection(left: BoxArray, row: number, right: BoxArray, column: number): number {
  const [i, j] = [4 * row, 4 * column];
  const width = Math.min(left[i + 2] ?? NaN, right[j + 2] ?? NaN) - Math.max(left[i] ?? NaN, right[j] ?? NaN);
  const height =
    Math.min(left[i + 3] ?? NaN, right[j + 3] ?? NaN) - Math.max(left[i + 1] ?? NaN, right[j + 1] ?? NaN);
  return width > 0 && height > 0 ? Math.fround(Math.fround(width) * Math.fround(height)) : 0;
}

/** Corners, area and edges of boxes whose last dimension is x0, y0, x1, y1. */
function parts(boxes: Tensor): { low: Tensor; high: Tensor; area: Tensor } {
  const low = boxes.narrow(-1, 0, 2);
  const high = boxes.narrow(-1, 2, 2);
  return { low, high, area: high.sub(low).prod(-1) };
}

/**
 * Intersection over union and its generalised form (Rezatofighi et al., arXiv 1902.09630) of boxes that broadcast against
 * each other, differentiable: `[..., 4], [..., 4] -> [...]` each.
 *
 * @param epsilon added to both denominators, so that boxes without area give numbers
 */
export function overlapMeasures(
  left: Tensor,
  right: Tensor,
  epsilon = 0,
): { readonly iou: Tensor; readonly generalised: Tensor } {
  const [a, b] = [parts(left), parts(right)];
  const shared = ops.minimum(a.high, b.high).sub(ops.maximum(a.low, b.low)).clamp(0).prod(-1);
  const union = a.area.add(b.area).sub(shared);
  const hull = ops.maximum(a.high, b.high).sub(ops.minimum(a.low, b.low)).clamp(0).prod(-1);
  const iou = shared.div(epsilon === 0 ? union : union.add(epsilon));
  const gap = hull.sub(union).div(epsilon === 0 ? hull : hull.add(epsilon));
  return { iou, generalised: iou.sub(gap) };
}

/** Pairwise overlaps of boxes `[N, 4]` and `[M, 4]`: `[N, M]` each. */
export function pairwiseOverlaps(left: Tensor, right: Tensor): ReturnType<typeof overlapMeasures> {
  return overlapMeasures(left.unsqueeze(1), right.unsqueeze(0));
}

/** Moves corners inside an image of `height` by `width` pixels; `boxes` is changed. */
export function clipBoxes<Boxes extends Float32Array | Float64Array>(
  boxes: Boxes,
  height: number,
  width: number,
): Boxes {
  for (let index = 0; index < boxes.length; index += 1) {
    boxes[index] = Math.min(Math.max(boxes[index] ?? NaN, 0), index % 2 === 0 ? width : height);
  }
  return boxes;
}

/** Places of the boxes with both sides at least so long, in order. */
export function largeEnough(boxes: BoxArray, leastSide: number): number[] {
  return Array.from({ length: boxCount(boxes) }, (_, index) => index).filter((index) => {
    const [x0 = NaN, y0 = NaN, x1 = NaN, y1 = NaN] = boxes.subarray(4 * index, 4 * index + 4);
    return Math.fround(x1 - x0) >= leastSide && Math.fround(y1 - y0) >= leastSide;
  });
}

/** The boxes at some places, in that order. */
export function takeBoxes(boxes: BoxArray, places: readonly number[]): BoxArray {
  const taken = new Float32Array(places.length * 4);
  for (const [index, place] of places.entries()) {
    taken.set(boxes.subarray(4 * place, 4 * place + 4), 4 * index);
  }
  return taken;
}
