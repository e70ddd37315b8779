/** Distillation between distributions: the KL divergence that all soft terms share, and logits towards their ensemble. */
import { ops, type Tensor } from '@cohort/torch';

/**
 * KL divergence of a constant target from what is predicted, summed over leading dimensions and averaged over the batch:
 * `T^2 / B * sum p_target (ln p_target - ln p)`; the factor keeps gradients the size of a cross-entropy's
 * (Hinton et al., arXiv 1503.02531, section 2).
 *
 * @param logProbabilities `[..., B, K]`, already divided by the temperature before the softmax
 * @param target log-probabilities of a shape that broadcasts to the same; detached here
 * @param batch B
 * @param temperature T
 */
export function softDivergence(
  logProbabilities: Tensor,
  target: Tensor,
  batch: number,
  temperature: number,
): Tensor {
  const constant = target.detach();
  const pointwise = constant.exp().mul(constant.sub(logProbabilities));
  return pointwise.sum().mul((temperature * temperature) / batch);
}

/**
 * Logit distillation: every network towards the softened mean of all networks' logits (arXiv 2104.12565, section 3.5),
 * summed over networks.
 *
 * @param logits one `[B, classes]` a network
 */
export function logitDistillation(logits: readonly Tensor[], temperature: number): Tensor {
  const batch = logits[0]?.shape[0] ?? 0;
  const stacked = ops.stack(logits, 0); // [N, B, classes]
  const ensemble = stacked.mean([0], true).div(temperature).logSoftmax(-1); // [1, B, classes]
  return softDivergence(stacked.div(temperature).logSoftmax(-1), ensemble, batch, temperature);
}
