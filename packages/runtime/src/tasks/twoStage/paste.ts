/** The mask that a network gives for the box of an object, brought to the pixels of the picture as `cohort predict` does. */
import type { Size } from '../fit.ts';

/** The pixels of an object: a window of the picture, outside of which none belongs to it. */
export interface ObjectMask {
  /** Column and row of the window's first pixel. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
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
 * The pixels of the picture that belong to the object.
 *
 * @param values `[side, side]`, 0 to 1, stretched over the box
 * @param box in pixels of the picture
 */
export function pasteMask(
  values: Float32Array,
  side: number,
  [x0, y0, x1, y1]: readonly [number, number, number, number],
  picture: Size,
): ObjectMask {
  const across = placesAlong(x0, x1, side, picture.width);
  const down = placesAlong(y0, y1, side, picture.height);
  const [width, height] = [across.taps.length, down.taps.length];
  const data = new Uint8Array(width * height);
  const valueAt = (row: number, column: number): number =>
    row < 0 || column < 0 || row >= side || column >= side ? 0 : (values[row * side + column] ?? 0);
  for (const [y, [row, below]] of down.taps.entries()) {
    for (const [x, [column, right]] of across.taps.entries()) {
      const upper = valueAt(row, column) * (1 - right) + valueAt(row, column + 1) * right;
      const lower = valueAt(row + 1, column) * (1 - right) + valueAt(row + 1, column + 1) * right;
      data[y * width + x] = Number(Math.fround(upper * (1 - below) + lower * below) > threshold);
    }
  }
  return { left: across.start, top: down.start, width, height, data };
}
