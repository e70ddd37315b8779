/** How training images vary together with their boxes and masks: mirrored, scaled, a part cut out, brightness and contrast changed. */
import { ops, scope, type Tensor } from '@cohort-ml/torch';
import { hashKeys, RANDOM_PURPOSE } from '../../data/loading/random.ts';
import { decodeMask, type RunLengths } from '../masks/runLengths.ts';
import { IGNORED } from '../metrics/segmentation.ts';
import type { AnnotatedObject } from '../annotations/annotated.ts';
import type { ImageSize } from './fittedImages.ts';

/** What may vary. */
export interface TransformSettings {
  readonly flip: boolean;
  readonly scale: readonly [least: number, greatest: number];
  readonly jitter: number;
}

/** What is done to one image. */
export interface Transform {
  readonly isFlipped: boolean;
  /** Size after scaling. */
  readonly scaled: ImageSize;
  /** Pixels of the scaled image above and left of the part that is cut out; negative where it is filled up. */
  readonly top: number;
  readonly left: number;
  /** Size of the result. */
  readonly size: ImageSize;
  /** Added to normalised values, and what they are multiplied by. */
  readonly brightness: number;
  readonly contrast: number;
}

/** Leaves an image as it is, filled up to the size below and on the right. */
export function identityTransform(image: ImageSize, size: ImageSize): Transform {
  const { height, width } = image;
  return { isFlipped: false, scaled: { height, width }, top: 0, left: 0, size, brightness: 0, contrast: 1 };
}

/** Draws what is done to an image in an epoch; the same for the same keys, whatever came before. */
export function drawTransform(
  image: ImageSize,
  size: ImageSize,
  { flip, scale, jitter }: TransformSettings,
  keys: { readonly seed: number; readonly epoch: number; readonly index: number; readonly repeat: number },
): Transform {
  const draw = (number: number): number =>
    hashKeys(RANDOM_PURPOSE.taskView, keys.seed, keys.epoch, keys.index, keys.repeat, number) / 2 ** 32;
  const [least, greatest] = scale;
  const factor = least * (greatest / least) ** draw(0);
  const scaled = {
    height: Math.max(1, Math.round(image.height * factor)),
    width: Math.max(1, Math.round(image.width * factor)),
  };
  const offset = (have: number, want: number, share: number): number =>
    have > want || factor !== 1 ? Math.round((have - want) * share) : 0;
  return {
    isFlipped: flip && draw(1) < 0.5,
    scaled,
    top: offset(scaled.height, size.height, draw(2)),
    left: offset(scaled.width, size.width, draw(3)),
    size,
    brightness: jitter * (2 * draw(4) - 1),
    contrast: 1 + jitter * (2 * draw(5) - 1),
  };
}

/** Widths that are added on the left, right, top and bottom; negative ones are cut off. */
function padding({ scaled, top, left, size }: Transform): number[] {
  // Not -left, which may be a negative zero.
  return [0 - left, size.width - (scaled.width - left), 0 - top, size.height - (scaled.height - top)];
}

/** Applies it to a normalised image `[1, 3, h, w]`: `[1, 3, H, W]`, filled up with zeros, which is the mean. */
export function transformImage(image: Tensor, transform: Transform): Tensor {
  return scope(() => {
    const { scaled, isFlipped, brightness, contrast } = transform;
    let current = image;
    const [, , height, width] = image.shape;
    if (height !== scaled.height || width !== scaled.width) {
      current = ops.upsampleBilinear2d(current, [scaled.height, scaled.width], false);
    }
    if (isFlipped) current = current.flip([3]);
    if (contrast !== 1 || brightness !== 0) current = current.mul(contrast).add(brightness);
    return current.constantPadNd(padding(transform), 0);
  });
}

/** Applies it to labels uint8 `[1, h, w]`: int64 `[1, H, W]`, {@link IGNORED} where it is filled up. */
export function transformLabels(labels: Tensor, transform: Transform): Tensor {
  return scope(() => {
    const { scaled, isFlipped } = transform;
    let current = labels.to('float32').unsqueeze(1);
    const [, , height, width] = current.shape;
    if (height !== scaled.height || width !== scaled.width) {
      current = ops.upsampleNearest2d(current, [scaled.height, scaled.width]);
    }
    if (isFlipped) current = current.flip([3]);
    return current.constantPadNd(padding(transform), IGNORED).squeeze(1).to('int64');
  });
}

/** An object of a transformed image. */
export interface PlacedObject {
  readonly category: number;
  /** In pixels of the result, inside of it. */
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number];
  readonly isCrowd: boolean;
  /** Makes its pixels: 1 inside and 0 outside, `[H, W]` of the result; absent for an object without a mask. */
  readonly mask?: () => Uint8Array;
}

/** Objects of which less than this share is left are not to be learned. */
const leastShare = 0.25;

/**
 * Applies it to the objects of an image.
 *
 * @param original size that the boxes count in
 */
export function transformObjects(
  objects: readonly AnnotatedObject[],
  original: ImageSize,
  transform: Transform,
): PlacedObject[] {
  const { scaled, isFlipped, top, left, size } = transform;
  const [fx, fy] = [scaled.width / original.width, scaled.height / original.height];
  return objects.flatMap(({ category, box, isCrowd, mask }): PlacedObject[] => {
    const [a, y0, b, y1] = [box[0] * fx, box[1] * fy - top, box[2] * fx, box[3] * fy - top];
    const [x0, x1] = isFlipped ? [scaled.width - b - left, scaled.width - a - left] : [a - left, b - left];
    const cut = [
      Math.max(x0, 0),
      Math.max(y0, 0),
      Math.min(x1, size.width),
      Math.min(y1, size.height),
    ] as const;
    const [width, height] = [cut[2] - cut[0], cut[3] - cut[1]];
    const share = (width * height) / ((x1 - x0) * (y1 - y0));
    if (width <= 0 || height <= 0 || share < leastShare) return [];
    const own = mask === undefined ? {} : { mask: () => transformMask(mask, transform) };
    return [{ category, box: cut, isCrowd, ...own }];
  });
}

/** Applies it to a mask: the pixel of the original that lies in the middle of each new one, `[H, W]`. */
export function transformMask(
  mask: RunLengths,
  { scaled, isFlipped, top, left, size }: Transform,
): Uint8Array {
  const pixels = decodeMask(mask);
  const result = new Uint8Array(size.height * size.width);
  const columns = Array.from({ length: size.width }, (_, x) => {
    const place = isFlipped ? scaled.width - 1 - (x + left) : x + left;
    return place < 0 || place >= scaled.width ? -1 : Math.floor(((place + 0.5) * mask.width) / scaled.width);
  });
  for (let y = Math.max(0, -top); y < Math.min(size.height, scaled.height - top); y += 1) {
    const row = Math.floor(((y + top + 0.5) * mask.height) / scaled.height) * mask.width;
    for (const [x, column] of columns.entries()) {
      if (column >= 0) result[y * size.width + x] = pixels[row + column] ?? 0;
    }
  }
  return result;
}
