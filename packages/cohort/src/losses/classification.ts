/** Classification: the cross-entropy of every network in a cohort. */
import { ops, type Tensor } from '@cohort/torch';

/**
 * Cross-entropy, summed over networks and averaged over the batch.
 *
 * @param logits one `[B, classes]` a network
 * @param labels int64 `[B]`
 */
export function classification(logits: readonly Tensor[], labels: Tensor): Tensor {
  return ops
    .stack(
      logits.map((scores) => scores.crossEntropyLoss(labels)),
      0,
    )
    .sum();
}
