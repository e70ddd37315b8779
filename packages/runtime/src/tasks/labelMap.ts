/** From class scores of an input to the class of every pixel of the picture, as `cohort predict` paints it. */
import { bilinear, placesOf } from '../plan/operators/places.ts';
import type { Size } from './fit.ts';

/** Probabilities of the part that the picture covers, place by place: `[height * width, classes]`. */
function probabilitiesOf(logits: Float32Array, classes: number, input: Size, part: Size): Float32Array {
  const plane = input.height * input.width;
  const result = new Float32Array(part.height * part.width * classes);
  for (let y = 0, to = 0; y < part.height; y++) {
    for (let x = 0; x < part.width; x++, to += classes) {
      const place = y * input.width + x;
      let largest = -Infinity;
      for (let index = 0; index < classes; index++) {
        largest = Math.max(largest, logits[index * plane + place] ?? 0);
      }
      let sum = 0;
      for (let index = 0; index < classes; index++) {
        const value = Math.exp((logits[index * plane + place] ?? 0) - largest);
        result[to + index] = value;
        sum += value;
      }
      for (let index = 0; index < classes; index++) result[to + index] = (result[to + index] ?? 0) / sum;
    }
  }
  return result;
}

/** Place of the largest of `count` values; the first of equal ones. */
function largestOf(values: Float32Array | Float64Array, start: number, count: number): number {
  let best = 0;
  for (let index = 1; index < count; index++) {
    if ((values[start + index] ?? 0) > (values[start + best] ?? 0)) best = index;
  }
  return best;
}

/**
 * The most probable class of every pixel: probabilities are resized bilinearly, not classes. Where all four neighbours of a pixel
 * have the same class, so has the pixel.
 *
 * @param logits `[classes, H, W]` of the input
 * @returns `[height, width]` of the picture
 */
export function labelsOf(
  logits: Float32Array,
  classes: number,
  { input, fitted, original }: { readonly input: Size; readonly fitted: Size; readonly original: Size },
): Uint8Array {
  const probabilities = probabilitiesOf(logits, classes, input, fitted);
  const coarse = Uint8Array.from({ length: fitted.height * fitted.width }, (_, place) =>
    largestOf(probabilities, place * classes, classes),
  );
  if (original.height === fitted.height && original.width === fitted.width) return coarse;
  const rows = placesOf(bilinear, fitted.height, original.height);
  const columns = placesOf(bilinear, fitted.width, original.width);
  const labels = new Uint8Array(original.height * original.width);
  const mixed = new Float64Array(classes);
  let to = 0;
  for (const { first: top, second: bottom, share: down } of rows) {
    for (const { first: left, second: right, share: across } of columns) {
      const corners = [top * fitted.width + left, top * fitted.width + right] as const;
      const lower = (bottom - top) * fitted.width;
      const label = coarse[corners[0]] ?? 0;
      if (
        coarse[corners[1]] === label &&
        coarse[corners[0] + lower] === label &&
        coarse[corners[1] + lower] === label
      ) {
        labels[to++] = label;
        continue;
      }
      for (let index = 0; index < classes; index++) {
        const at = (place: number): number => probabilities[place * classes + index] ?? 0;
        const above = at(corners[0]) * (1 - across) + at(corners[1]) * across;
        const below = at(corners[0] + lower) * (1 - across) + at(corners[1] + lower) * across;
        mixed[index] = above * (1 - down) + below * down;
      }
      labels[to++] = largestOf(mixed, 0, classes);
    }
  }
  return labels;
}
