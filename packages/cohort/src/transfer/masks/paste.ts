/**
 * The masks that a network gives for the boxes of objects, brought to the pixels of the image (He et al., arXiv 1703.06870, section 3.1):
 * resized to the box bilinearly, as torchvision does it, and cut off at the border.
 */
import { encodeWindow, type RunLengths } from './runLengths.ts';

/** How likely each place of an object's box belongs to it, 0 to 1, row by row; it is as high as wide. */
export interface MaskPatch {
  readonly side: number;
  readonly values: Float32Array;
}

/** A part of an image, row by row. */
export interface PastedMask {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
}

interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** Likelier than this, a pixel belongs to the object. */
const maskThreshold = 0.5;

/** Whole pixels that an interval covers once it is larger by a place of the patch at either end, and where they lie in the patch. */
function placesAlong(
  low: number,
  high: number,
  side: number,
  limit: number,
): { readonly start: number; readonly taps: readonly (readonly [place: number, rest: number])[] } {
  // A border of zeros, one place wide, is added to the patch, and the box grows with it.
  const padded = side + 2;
  const centre = Math.fround((low + high) / 2);
  const half = Math.fround(Math.fround((high - low) / 2) * Math.fround(padded / side));
  const first = Math.trunc(Math.fround(centre - half));
  const last = Math.trunc(Math.fround(centre + half));
  const length = Math.max(last - first + 1, 1);
  const start = Math.max(first, 0);
  const end = Math.min(last + 1, limit);
  const taps = Array.from({ length: Math.max(0, end - start) }, (_, index) => {
    const place = Math.max(0, ((start + index - first + 0.5) * padded) / length - 0.5);
    const whole = Math.min(Math.floor(place), padded - 1);
    // In the patch without its border, which is one place before.
    return [whole - 1, place - whole] as const;
  });
  return { start, taps };
}

/**
 * Probabilities of the pixels around a box.
 *
 * @param box x0, y0, x1, y1 in pixels of the image
 */
export function pasteMask(patch: MaskPatch, box: ArrayLike<number>, size: ImageSize): PastedMask {
  const { side, values } = patch;
  const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = Array.from(box);
  const across = placesAlong(x0, x1, side, size.width);
  const down = placesAlong(y0, y1, side, size.height);
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

/** The pixels of an image that belong to the object. @param box x0, y0, x1, y1 in pixels of the image */
export function maskOfPatch(patch: MaskPatch, box: ArrayLike<number>, size: ImageSize): RunLengths {
  const { values, ...window } = pasteMask(patch, box, size);
  return encodeWindow(
    Uint8Array.from(values, (value) => Number(value > maskThreshold)),
    window,
    size,
  );
}
