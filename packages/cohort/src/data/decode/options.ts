/** What a decoded image must be: a file of its own, for the thread that decodes and for those that ask it. */
import type { ImageFit, ImageShape } from '../dataset.ts';

/** The pixels to make of an image file. */
export interface DecodeOptions extends ImageShape {
  /** `fill` (default) stretches to the size asked for; `cover` keeps the proportions and cuts off what stands out. */
  fit?: ImageFit;
  /** Larger images (width x height) are refused before their pixels are decoded; by default 268 million. */
  maximumPixels?: number;
}
