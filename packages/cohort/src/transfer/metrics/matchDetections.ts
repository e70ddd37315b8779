/** Which detections of one image and category are right, at every threshold of overlap: COCO's greedy matching. */
import { maskOverlap } from '../masks/combine.ts';
import { maskArea, type RunLengths } from '../masks/runLengths.ts';
import type { DetectedObject, SizedBox, TrueObject } from './objects.ts';
import type { Outcome } from './precision.ts';

/** How detections are matched. */
export interface MatchOptions {
  readonly thresholds: readonly number[];
  /** Least and greatest area of objects that count. */
  readonly bounds: readonly [least: number, greatest: number];
  /** Detections of the highest scores that are looked at. */
  readonly most: number;
  readonly by: 'box' | 'mask';
}

/** What became of the detections of one image and category. */
export interface Evaluated {
  /** In descending order. */
  readonly scores: readonly number[];
  /** At each threshold, of each detection in that order. */
  readonly outcomes: readonly (readonly Outcome[])[];
  /** True objects that count. */
  readonly positives: number;
}

/** Intersection over union of boxes; over the detection alone for a crowd. */
export function boxOverlap(detected: SizedBox, truth: SizedBox, isCrowd = false): number {
  const width = Math.min(detected[0] + detected[2], truth[0] + truth[2]) - Math.max(detected[0], truth[0]);
  const height = Math.min(detected[1] + detected[3], truth[1] + truth[3]) - Math.max(detected[1], truth[1]);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  const area = detected[2] * detected[3];
  return shared / (isCrowd ? area : area + truth[2] * truth[3] - shared);
}

function maskOf(object: { readonly mask?: RunLengths; readonly image: number }): RunLengths {
  if (object.mask !== undefined) return object.mask;
  throw new RangeError(
    `Masks are to be compared, but an object of image ${object.image} has none. Compare by box, or give every object a mask.`,
  );
}

/** Matches the detections of one image and category. */
export function evaluatePair(
  truth: readonly TrueObject[],
  detected: readonly DetectedObject[],
  { thresholds, bounds, most, by }: MatchOptions,
): Evaluated {
  const [least, greatest] = bounds;
  const isOutside = (area: number): boolean => area < least || area > greatest;
  const isIgnored = (object: TrueObject): boolean => object.isCrowd || isOutside(object.area);
  // Those that count come first: a detection goes to one of these before it is excused by another.
  const objects = [...truth.filter((object) => !isIgnored(object)), ...truth.filter(isIgnored)];
  const positives = truth.filter((object) => !isIgnored(object)).length;
  const found = detected
    .map((object, index) => ({ object, index }))
    .sort((a, b) => b.object.score - a.object.score || a.index - b.index)
    .slice(0, most)
    .map(({ object }) => object);
  const overlaps = found.map((detection) =>
    objects.map((object) =>
      by === 'box'
        ? boxOverlap(detection.box, object.box, object.isCrowd)
        : maskOverlap(maskOf(detection), maskOf(object), object.isCrowd),
    ),
  );
  const outcomes = thresholds.map((threshold) => {
    const taken = new Set<number>();
    return found.map((detection, index): Outcome => {
      const match = bestMatch(overlaps[index] ?? [], objects, { taken, positives, threshold });
      if (match === null) {
        const area = by === 'box' ? detection.box[2] * detection.box[3] : maskArea(maskOf(detection));
        return isOutside(area) ? 'ignored' : 'wrong';
      }
      taken.add(match);
      return match < positives ? 'right' : 'ignored';
    });
  });
  return { scores: found.map(({ score }) => score), outcomes, positives };
}

/** Place of the object that a detection goes to; null where none overlaps it enough. */
function bestMatch(
  overlaps: readonly number[],
  objects: readonly TrueObject[],
  state: { readonly taken: ReadonlySet<number>; readonly positives: number; readonly threshold: number },
): number | null {
  let greatest = Math.min(state.threshold, 1 - 1e-10);
  let match: number | null = null;
  for (const [place, overlap] of overlaps.entries()) {
    if (state.taken.has(place) && objects[place]?.isCrowd !== true) continue;
    if (match !== null && match < state.positives && place >= state.positives) break;
    if (overlap < greatest) continue;
    greatest = overlap;
    match = place;
  }
  return match;
}
