/** Cross-entropy over the pixels of images, those with an ignored label left out. */
import { ops, type Tensor } from '@cohort-ml/torch';

/** `reduction` of ATen's losses. */
const mean = 1;

/**
 * Mean over all pixels that count; 0 where none does.
 *
 * @param logits `[B, classes, H, W]`
 * @param labels int64 `[B, H, W]`
 * @param ignored label that does not count
 * @param weights of each class, `[classes]`
 * @returns float32 `[]`
 */
export function pixelCrossEntropy(
  logits: Tensor,
  labels: Tensor,
  ignored: number,
  weights: Tensor | null = null,
): Tensor {
  // A mean over nothing is not a number.
  if (labels.ne(ignored).any().item() === 0) return logits.sum().mul(0);
  return ops.crossEntropyLoss(logits.to('float32'), labels, weights, mean, ignored);
}
