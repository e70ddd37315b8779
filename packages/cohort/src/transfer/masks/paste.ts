/** The masks that a network gives for the boxes of objects, as run lengths of the image; the runtime brings them to its pixels. */
import { pasteMask, pasteProbabilities, type MaskProbabilities } from '@cohort-ml/runtime';
import { encodeWindow, type RunLengths } from './runLengths.ts';

/** How likely each place of an object's box belongs to it, 0 to 1, row by row; it is as high as wide. */
export interface MaskPatch {
  readonly side: number;
  readonly values: Float32Array;
}

interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/**
 * Probabilities of the pixels around a box.
 *
 * @param box x0, y0, x1, y1 in pixels of the image
 */
export function pastePatch(
  { values, side }: MaskPatch,
  box: ArrayLike<number>,
  size: ImageSize,
): MaskProbabilities {
  return pasteProbabilities(values, side, corners(box), size);
}

/** The pixels of an image that belong to the object. @param box x0, y0, x1, y1 in pixels of the image */
export function maskOfPatch(
  { values, side }: MaskPatch,
  box: ArrayLike<number>,
  size: ImageSize,
): RunLengths {
  const { data, ...window } = pasteMask(values, side, corners(box), size);
  return encodeWindow(data, window, size);
}

function corners(box: ArrayLike<number>): readonly [number, number, number, number] {
  const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = Array.from(box);
  return [x0, y0, x1, y1];
}
