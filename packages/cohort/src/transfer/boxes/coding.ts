/** How a detector writes a box: as shifts of an anchor (Faster R-CNN, arXiv 1506.01497, equation 2) or as distances from a point (FCOS). */
import { ops, type Tensor } from '@cohort-ml/torch';

/** Factors of the shifts in x, y, width and height. */
export type CodeWeights = readonly [x: number, y: number, width: number, height: number];

/** Widths and heights grow at most by this factor: a wild prediction must not overflow. */
const greatestGrowth = Math.log(1000 / 16);

/** Centres and sizes of boxes `[..., 4]`: `[..., 2]` each. */
function centresAndSizes(boxes: Tensor): { centre: Tensor; size: Tensor } {
  const low = boxes.narrow(-1, 0, 2);
  const size = boxes.narrow(-1, 2, 2).sub(low);
  return { centre: low.add(size.mul(0.5)), size };
}

/**
 * `((x - x_a) / w_a, (y - y_a) / h_a, ln(w / w_a), ln(h / h_a))` times the weights, of centres x, y and sizes w, h.
 *
 * @param boxes `[N, 4]`
 * @param anchors `[N, 4]`, with an area
 * @returns `[N, 4]`
 */
export function encodeShifts(boxes: Tensor, anchors: Tensor, weights: CodeWeights): Tensor {
  const [box, anchor] = [centresAndSizes(boxes), centresAndSizes(anchors)];
  const [x, y, width, height] = weights;
  const shift = box.centre.sub(anchor.centre).div(anchor.size);
  const growth = box.size.div(anchor.size).log();
  const scale = ops.stack([
    ops.scalarTensor(x),
    ops.scalarTensor(y),
    ops.scalarTensor(width),
    ops.scalarTensor(height),
  ]);
  return ops.cat([shift, growth], -1).mul(scale.to({ device: boxes.device }));
}

/**
 * The boxes that shifts lead to.
 *
 * @param shifts `[N, 4]`, or `[N, 4 K]` for K boxes of each anchor
 * @param anchors `[N, 4]`
 * @returns as `shifts`
 */
export function decodeShifts(shifts: Tensor, anchors: Tensor, weights: CodeWeights): Tensor {
  const { shape } = shifts;
  const [count = 0] = shape;
  const each = shifts.reshape([count, -1, 4]); // [N, 4 K] -> [N, K, 4]
  const { centre, size } = centresAndSizes(anchors.unsqueeze(1));
  const part = (index: number): Tensor => each.narrow(-1, index, 1).div(weights[index] ?? 1);
  const middle = ops
    .cat([part(0), part(1)], -1)
    .mul(size)
    .add(centre);
  const grown = ops
    .cat([part(2), part(3)], -1)
    .clamp(null, greatestGrowth)
    .exp()
    .mul(size)
    .mul(0.5);
  return ops.cat([middle.sub(grown), middle.add(grown)], -1).reshape(shape);
}

/** The boxes that shifts `[B, N, 4]` of anchors `[N, 4]` lead to, in batches; as {@link decodeShifts} with weights of 1. */
export function decodeBatchShifts(shifts: Tensor, anchors: Tensor): Tensor {
  const { centre, size } = centresAndSizes(anchors);
  const middle = shifts.narrow(-1, 0, 2).mul(size).add(centre);
  const grown = shifts.narrow(-1, 2, 2).clamp(null, greatestGrowth).exp().mul(size).mul(0.5);
  return ops.cat([middle.sub(grown), middle.add(grown)], -1);
}

/**
 * Distances from an anchor's centre to the four sides of a box, divided by the anchor's size (FCOS, arXiv 1904.01355, with the
 * square anchor of the stride's size that torchvision has).
 *
 * @param boxes `[N, 4]`
 * @param anchors `[N, 4]`
 * @returns left, top, right, bottom, `[N, 4]`
 */
export function encodeDistances(boxes: Tensor, anchors: Tensor): Tensor {
  const { centre, size } = centresAndSizes(anchors);
  const low = centre.sub(boxes.narrow(-1, 0, 2)).div(size);
  const high = boxes.narrow(-1, 2, 2).sub(centre).div(size);
  return ops.cat([low, high], -1);
}

/** The boxes that distances `[..., 4]` from the centres of anchors `[..., 4]` lead to. */
export function decodeDistances(distances: Tensor, anchors: Tensor): Tensor {
  const { centre, size } = centresAndSizes(anchors);
  const low = centre.sub(distances.narrow(-1, 0, 2).mul(size));
  const high = centre.add(distances.narrow(-1, 2, 2).mul(size));
  return ops.cat([low, high], -1);
}
