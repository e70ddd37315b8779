/** What operations on raw pixels share: Pillow's blending, luminance, and applying each operation to its samples of a batch. */
import { ArgumentError, scope, Tensor } from '@cohort-ml/torch';

/** @throws {ArgumentError} unless the images are uint8 `[B, C, H, W]` */
export function assertImages(operation: string, images: Tensor): void {
  if (images.dtype === 'uint8' && images.shape.length === 4) return;
  throw new ArgumentError(
    operation,
    `expected images as uint8 [batch, channels, height, width], got ${images.dtype} [${images.shape.join(', ')}].`,
  );
}

/** @throws {ArgumentError} unless the images are uint8 `[B, C, H, W]` and there is a number for each of them */
export function assertNumberPerImage(operation: string, images: Tensor, count: number): void {
  assertImages(operation, images);
  if (count === images.shape[0]) return;
  throw new ArgumentError(
    operation,
    `expected one number per image, ${images.shape[0] ?? 0} in all, got ${count}.`,
  );
}

/**
 * Converts floats to bytes as Pillow does: clamped to 0 and 255, fractions dropped.
 *
 * @param values of any floating dtype and shape, in levels
 * @returns uint8 of the same shape
 */
export function toBytes(values: Tensor): Tensor {
  return values.clamp(0, 255).to('uint8');
}

/**
 * `degenerate + factor * (image - degenerate)` (Haeberli and Voorhies 1994): factor 0 gives the degenerate image, 1 the
 * image, and values above 1 move away from it. Computed in float32 and in this order, like Pillow's `Image.blend`, so that bytes agree.
 *
 * @param image uint8 `[B, C, H, W]`
 * @param degenerate float32 of a shape that broadcasts to it, in levels
 * @param factor float32 `[B, 1, 1, 1]`, without a unit
 * @returns uint8 `[B, C, H, W]`
 * @throws {OperatorError} when the shapes do not broadcast
 */
export function blend(degenerate: Tensor, image: Tensor, factor: Tensor): Tensor {
  return toBytes(image.to('float32').sub(degenerate).mul(factor).add(degenerate));
}

/**
 * Grey values as integers in float32: the luminance of three channels (ITU-R 601-2, in the same integer arithmetic as Pillow's),
 * the rounded mean of any other number of channels.
 *
 * @param images uint8 `[B, C, H, W]`, 0 to 255
 * @returns float32 `[B, 1, H, W]`, 0 to 255
 * @throws {ArgumentError} for other images
 */
export function luminance(images: Tensor): Tensor {
  assertImages('luminance', images);
  const values = images.to('float32');
  const channels = images.shape[1] ?? 0;
  if (channels !== 3) return channels === 1 ? values : values.mean([1], true).add(0.5).floor();
  const weights = Tensor.fromTypedArray(Float32Array.of(19595, 38470, 7471), [1, 3, 1, 1]);
  // At most 255.5 * 65536, so that float32 holds every sum exactly.
  return values.mul(weights).sum([1], true).add(32768).div(65536).floor();
}

/**
 * Applies an operation to each group of samples and puts the results in their places.
 *
 * @param images `[B, C, H, W]`
 * @param groups B groups, one per sample, from 0; a sample with a negative one stays as it is
 * @param apply receives a group, its samples `[G, C, H, W]` and their G rows, and returns the same shape and dtype
 * @returns a new tensor `[B, C, H, W]`
 * @throws {ArgumentError} when there is not one group per sample
 * @throws {OperatorError} when `apply` returns another shape or dtype
 */
export function applyByGroup(
  images: Tensor,
  groups: Int32Array,
  apply: (group: number, samples: Tensor, rows: Int32Array) => Tensor,
): Tensor {
  if (groups.length !== images.shape[0]) {
    throw new ArgumentError(
      'applyByGroup',
      `expected one group per image, ${images.shape[0] ?? 0} in all, got ${groups.length}.`,
    );
  }
  const members = new Map<number, number[]>();
  for (const [row, group] of groups.entries()) {
    if (group < 0) continue;
    const rows = members.get(group);
    if (rows === undefined) members.set(group, [row]);
    else rows.push(row);
  }
  return scope(() => {
    const result = images.clone();
    // One scope per group: its tensors are released before the next one.
    for (const [group, rowList] of members) {
      scope(() => {
        const rows = Int32Array.from(rowList);
        const places = Tensor.fromTypedArray(rows).to('int64');
        result.indexCopy_(0, places, apply(group, images.indexSelect(0, places), rows));
      });
    }
    return result;
  });
}
