/** Shear, shift and rotation of whole batches by the nearest pixel; what comes in from outside is black. */
import { ops, scope, Tensor } from '@cohort-ml/torch';

/** `[a, b, c, d, e, f]`: the pixel at (x, y) comes from (a x + b y + c, d x + e y + f), both at pixel centres. */
export type AffineMatrix = readonly [number, number, number, number, number, number];

/** Moves each row by `factor` pixels a row below the first. */
export function shearX(factor: number): AffineMatrix {
  return [1, factor, 0, 0, 1, 0];
}

/** Moves each column by `factor` pixels a column right of the first. */
export function shearY(factor: number): AffineMatrix {
  return [1, 0, 0, factor, 1, 0];
}

/** Shifts right and down, in pixels. */
export function translation(right: number, down: number): AffineMatrix {
  return [1, 0, -right, 0, 1, -down];
}

/** Turns counter-clockwise about the middle. */
export function rotation(degrees: number, height: number, width: number): AffineMatrix {
  const angle = (-degrees * Math.PI) / 180;
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const [x, y] = [width / 2, height / 2];
  return [cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y];
}

/**
 * Takes every pixel from where the sample's matrix says: raw `[B, C, H, W]` of any dtype to the same. Places are whole
 * numbers of 1/65536 pixel, as in Pillow, so that no rounding depends on the batch or the machine.
 */
export function affine(images: Tensor, matrices: readonly AffineMatrix[]): Tensor {
  const [batch = 0, channels = 0, height = 0, width = 0] = images.shape;
  const fixed = (value: number): number => Math.floor(value * 65536 + 0.5);
  const column = (of: (matrix: AffineMatrix) => number): Tensor =>
    Tensor.fromTypedArray(
      BigInt64Array.from(matrices, (matrix) => BigInt(fixed(of(matrix)))),
      [batch, 1, 1],
    );
  return scope(() => {
    const xs = ops.arange(width, { dtype: 'int64' }).view([1, 1, width]);
    const ys = ops.arange(height, { dtype: 'int64' }).view([1, height, 1]);
    const sixteen = ops.full([], 16, { dtype: 'int64' });
    const place = (perX: Tensor, perY: Tensor, first: Tensor): Tensor =>
      xs.mul(perX).add(ys.mul(perY)).add(first).bitwiseRightShift(sixteen); // [B, H, W]
    const fromX = place(
      column(([a]) => a),
      column(([, b]) => b),
      column(([a, b, c]) => c + a * 0.5 + b * 0.5),
    );
    const fromY = place(
      column(([, , , d]) => d),
      column(([, , , , e]) => e),
      column(([, , , d, e, f]) => f + d * 0.5 + e * 0.5),
    );
    const inside = ops.logicalAnd(
      fromX.ge(0).logicalAnd(fromX.lt(width)),
      fromY.ge(0).logicalAnd(fromY.lt(height)),
    );
    const moved = images.index([
      ops.arange(batch, { dtype: 'int64' }).view([batch, 1, 1, 1]),
      ops.arange(channels, { dtype: 'int64' }).view([1, channels, 1, 1]),
      fromY.clamp(0, height - 1).unsqueeze(1),
      fromX.clamp(0, width - 1).unsqueeze(1),
    ]);
    return moved.maskedFill(inside.logicalNot().unsqueeze(1), 0);
  });
}
