/** What operations on raw pixels share: blending as Pillow does it, luminance, and each operation for its samples of a batch. */
import { scope, Tensor } from '@cohort-ml/torch';

/** Float values to bytes: cut off at 0 and 255, fractions dropped, as Pillow does. */
export function toBytes(values: Tensor): Tensor {
  return values.clamp(0, 255).to('uint8');
}

/**
 * `degenerate + factor * (image - degenerate)` (Haeberli and Voorhies 1994): factor 0 gives the degenerate image, 1 the
 * image, and beyond 1 its opposite. In float32, in this order, as Pillow's `Image.blend`, so that bytes agree.
 *
 * @param image uint8 `[B, C, H, W]`
 * @param degenerate float32 of a shape that broadcasts to it
 * @param factor float32 `[B, 1, 1, 1]`
 */
export function blend(degenerate: Tensor, image: Tensor, factor: Tensor): Tensor {
  return toBytes(image.to('float32').sub(degenerate).mul(factor).add(degenerate));
}

/**
 * Grey values as whole numbers in float32, `[B, 1, H, W]`: of three channels the luminance (ITU-R 601-2, in the same
 * whole-number arithmetic as Pillow's), of others the rounded mean.
 */
export function luminance(images: Tensor): Tensor {
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
 * @param groups a group a sample, from 0; below 0 the sample stays as it is
 * @param apply gets the samples of a group and their rows, and gives back the same shape and dtype
 */
export function applyByGroup(
  images: Tensor,
  groups: Int32Array,
  apply: (group: number, samples: Tensor, rows: Int32Array) => Tensor,
): Tensor {
  const members = new Map<number, number[]>();
  for (const [row, group] of groups.entries()) {
    if (group < 0) continue;
    const rows = members.get(group);
    if (rows === undefined) members.set(group, [row]);
    else rows.push(row);
  }
  return scope(() => {
    const result = images.clone();
    // A scope each: what one group needs is released before the next.
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
