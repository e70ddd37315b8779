/** Losses of detectors: focal loss for classes, generalised IoU and smooth L1 for boxes. */
import type { Tensor } from '@cohort-ml/torch';
import { overlapMeasures } from './boxes.ts';

/** Settings of the focal loss. */
export interface FocalSettings {
  /** Weight of the positives; the negatives have one less it. */
  readonly alpha: number;
  /** Exponent that takes weight from what is easy. */
  readonly gamma: number;
}

/** As published for RetinaNet and FCOS. */
export const publishedFocal: FocalSettings = { alpha: 0.25, gamma: 2 };

/**
 * Sum of the sigmoid focal loss (Lin et al., arXiv 1708.02002, equation 5).
 *
 * @param logits of any shape
 * @param targets 0 or 1, of the same shape
 * @returns `[]`
 */
export function focalLoss(logits: Tensor, targets: Tensor, { alpha, gamma } = publishedFocal): Tensor {
  const probability = logits.sigmoid();
  const entropy = logits.clampMin(0).sub(logits.mul(targets)).add(logits.abs().neg().exp().log1p());
  // 1 - p for positives, p for negatives.
  const miss = probability.add(targets).sub(probability.mul(targets).mul(2));
  const weight = targets.mul(2 * alpha - 1).add(1 - alpha);
  return entropy.mul(miss.pow(gamma)).mul(weight).sum();
}

/**
 * Sum of `1 - generalised IoU` (Rezatofighi et al., arXiv 1902.09630).
 *
 * @param boxes `[N, 4]`
 * @param targets `[N, 4]`
 * @returns `[]`
 */
export function generalisedIouLoss(boxes: Tensor, targets: Tensor): Tensor {
  return overlapMeasures(boxes, targets, 1e-7).generalised.neg().add(1).sum();
}
