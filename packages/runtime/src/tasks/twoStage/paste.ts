/**
 * The masks that a network gives for the boxes of objects, brought to the pixels of the picture (He et al., arXiv 1703.06870, section
 * 3.1): resized to the box bilinearly, as torchvision does it, and cut off at the border. `cohort predict` does it by these functions too.
 */
import type { Size } from '../fit.ts';

/** A part of a picture. */
export interface MaskWindow {
  /** Column and row of its first pixel. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** How likely the pixels of a window belong to an object. */
export interface MaskProbabilities extends MaskWindow {
  /** `[height, width]`, row by row, 0 to 1. */
  readonly values: Float32Array;
}

/** The pixels of an object: a window of the picture, outside of which none belongs to it. */
export interface ObjectMask extends MaskWindow {
  /** `[height, width]`, row by row: 1 where the pixel belongs to the object, else 0. */
  readonly data: Uint8Array;
}

/** Likelier than this, a pixel belongs to the object. */
const threshold = 0.5;

/** Pixels that an interval covers once it is larger by a place of the mask at either end, and where they lie in the mask. */
function placesAlong(
  low: number,
  high: number,
  side: number,
  limit: number,
): { readonly start: number; readonly taps: readonly (readonly [place: number, rest: number])[] } {
  const { fround } = Math;
  // A border of zeros, one place wide, is added to the mask, and the box grows with it.
  const padded = side + 2;
  const centre = fround((low + high) / 2);
  const half = fround(fround((high - low) / 2) * fround(padded / side));
  const first = Math.trunc(fround(centre - half));
  const last = Math.trunc(fround(centre + half));
  const length = Math.max(last - first + 1, 1);
  const start = Math.max(first, 0);
  const end = Math.min(last + 1, limit);
  const taps = Array.from({ length: Math.max(0, end - start) }, (_, index) => {
    const place = Math.max(0, ((start + index - first + 0.5) * padded) / length - 0.5);
    const whole = Math.min(Math.floor(place), padded - 1);
    // In the mask without its border, which is one place before.
    return [whole - 1, place - whole] as const;
  });
  return { start, taps };
}

/**
 * How likely the pixels around a box belong to its object.
 *
 * @param values `[side, side]`, 0 to 1, stretched over the box
 * @param box x0, y0, x1, y1 in pixels of the picture
 */
export function pasteProbabilities(
  values: Float32Array,
  side: number,
  [x0, y0, x1, y1]: readonly [number, number, number, number],
  picture: Size,
): MaskProbabilities {
  const across = placesAlong(x0, x1, side, picture.width);
  const down = placesAlong(y0, y1, side, picture.height);
  const [width, height] = [across.taps.length, down.taps.length];
  const pasted = new Float32Array(width * height);
  const valueAt = (row: number, column: number): number =>
    row < 0 || column < 0 || row >= side || column >= side ? 0 : (values[row * side + column] ?? 0);
  for (const [y, [row, below]] of down.taps.entries()) {
    for (const [x, [column, right]] of across.taps.entries()) {
      const upper = valueAt(row, column) * (1 - right) + valueAt(row, column + 1) * right;
      const lower = valueAt(row + 1, column) * (1 - right) + valueAt(row + 1, column + 1) * right;
      pasted[y * width + x] = upper * (1 - below) + lower * below;
    }
  }
  return { left: across.start, top: down.start, width, height, values: pasted };
}

/** The pixels of the picture that belong to the object; arguments as of {@link pasteProbabilities}. */
export function pasteMask(...given: Parameters<typeof pasteProbabilities>): ObjectMask {
  const { values, ...window } = pasteProbabilities(...given);
  return { ...window, data: Uint8Array.from(values, (value) => Number(value > threshold)) };
}
