/** Polygons to masks by COCO's rule: the boundary is drawn at five times the resolution, and columns are filled between its crossings. */
import { AnnotationError } from '../errors.ts';
import { maskUnion } from './combine.ts';
import type { RunLengths } from './runLengths.ts';

const scale = 5;

/** As C converts to an integer. */
function truncate(value: number): number {
  return Math.trunc(value);
}

/** Points of the boundary at the finer resolution, one after the other. */
function drawBoundary(polygon: readonly number[]): { u: number[]; v: number[] } {
  const corners = polygon.length / 2;
  const coordinate = (corner: number, axis: 0 | 1): number =>
    truncate(scale * (polygon[2 * (corner % corners) + axis] ?? NaN) + 0.5);
  const u: number[] = [];
  const v: number[] = [];
  for (let corner = 0; corner < corners; corner += 1) {
    let [x0, y0] = [coordinate(corner, 0), coordinate(corner, 1)];
    let [x1, y1] = [coordinate(corner + 1, 0), coordinate(corner + 1, 1)];
    const [across, down] = [Math.abs(x1 - x0), Math.abs(y1 - y0)];
    const isFlat = across >= down;
    const isFlipped = isFlat ? x0 > x1 : y0 > y1;
    if (isFlipped) [x0, y0, x1, y1] = [x1, y1, x0, y0];
    const steps = isFlat ? across : down;
    const slope = steps === 0 ? 0 : isFlat ? (y1 - y0) / across : (x1 - x0) / down;
    for (let step = 0; step <= steps; step += 1) {
      const t = isFlipped ? steps - step : step;
      u.push(isFlat ? t + x0 : truncate(x0 + slope * t + 0.5));
      v.push(isFlat ? truncate(y0 + slope * t + 0.5) : t + y0);
    }
  }
  return { u, v };
}

/** Places, column by column, where the boundary crosses the middle of a column. */
function crossings({ u, v }: { u: number[]; v: number[] }, height: number, width: number): number[] {
  const places: number[] = [];
  for (let index = 1; index < u.length; index += 1) {
    const [here = 0, before = 0] = [u[index], u[index - 1]];
    if (here === before) continue;
    const x = ((here < before ? here : here - 1) + 0.5) / scale - 0.5;
    if (!Number.isInteger(x) || x < 0 || x > width - 1) continue;
    const y = (Math.min(v[index] ?? 0, v[index - 1] ?? 0) + 0.5) / scale - 0.5;
    places.push(x * height + Math.ceil(Math.min(Math.max(y, 0), height)));
  }
  return places;
}

/**
 * The mask of one polygon.
 *
 * @param polygon x and y of three or more corners, in pixels
 * @throws {AnnotationError} for fewer corners, an odd number of values, or values that are not finite or far outside
 */
export function polygonMask(polygon: readonly number[], height: number, width: number): RunLengths {
  if (polygon.length < 6 || polygon.length % 2 !== 0) {
    throw new AnnotationError(
      `A polygon has ${polygon.length} numbers.`,
      'It takes x and y of at least three corners: correct it or leave the annotation out.',
    );
  }
  const farthest = 10 * Math.max(height, width);
  const wrong = polygon.find((value) => !(Math.abs(value) <= farthest));
  if (wrong !== undefined) {
    throw new AnnotationError(
      `A polygon has a corner at ${wrong} in an image of ${width} by ${height} pixels.`,
      'Correct it or leave the annotation out.',
    );
  }
  const places = [...crossings(drawBoundary(polygon), height, width), height * width].sort((a, b) => a - b);
  const gaps = places.map((place, index) => place - (places[index - 1] ?? 0));
  const counts = [gaps[0] ?? 0];
  for (let index = 1; index < gaps.length; index += 1) {
    const gap = gaps[index] ?? 0;
    if (gap > 0) counts.push(gap);
    else {
      index += 1;
      if (index < gaps.length) counts[counts.length - 1] = (counts.at(-1) ?? 0) + (gaps[index] ?? 0);
    }
  }
  return { height, width, counts };
}

/** The mask of an object of several polygons: their union. @throws {AnnotationError} as {@link polygonMask}, and for none */
export function polygonsMask(
  polygons: readonly (readonly number[])[],
  height: number,
  width: number,
): RunLengths {
  const [first, ...others] = polygons.map((polygon) => polygonMask(polygon, height, width));
  if (first === undefined) {
    throw new AnnotationError('An object has no polygon.', 'Draw one or leave the annotation out.');
  }
  return others.reduce(maskUnion, first);
}
