/** Distillation between distributions: the KL divergence that all soft terms share, and logits towards their ensemble. */
import { ops, type Tensor } from '@cohort-ml/torch';
import { at } from '../support/at.ts';

/**
 * KL divergence of a constant target from what is predicted, one value a row: `sum_k p_target (ln p_target - ln p)`.
 *
 * @param logProbabilities `[..., B, K]`
 * @param target log-probabilities of a shape that broadcasts to the same; detached here
 * @returns `[..., B]`
 */
export function rowDivergence(logProbabilities: Tensor, target: Tensor): Tensor {
  const constant = target.detach();
  return constant.exp().mul(constant.sub(logProbabilities)).sum([-1]);
}

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
  return rowDivergence(logProbabilities, target)
    .sum()
    .mul((temperature * temperature) / batch);
}

/**
 * Logits towards softened targets, summed over every pair of a network and a target: in L-MCL the targets are all
 * networks' aggregated logits, the network's own among them (arXiv 2207.11518).
 *
 * @param logits one `[B, classes]` a network
 * @param targets logits, one `[B, classes]` a target; detached
 */
export function targetDistillation(
  logits: readonly Tensor[],
  targets: readonly Tensor[],
  temperature: number,
): Tensor {
  const batch = at(at(logits, 0, 'the logits of the networks').shape, 0);
  const soften = (scores: readonly Tensor[]): Tensor => ops.stack(scores, 0).div(temperature).logSoftmax(-1); // [N, B, classes]
  return softDivergence(soften(logits).unsqueeze(1), soften(targets), batch, temperature);
}

/**
 * Logit distillation: networks towards the softened mean of all networks' logits (arXiv 2104.12565, section 3.5), summed
 * over the networks that learn.
 *
 * @param logits one `[B, classes]` a network
 * @param students which networks learn: all, or only the last
 */
export function logitDistillation(
  logits: readonly Tensor[],
  temperature: number,
  students: 'all' | 'last' = 'all',
): Tensor {
  const ensemble = ops.stack(logits, 0).mean([0]);
  return targetDistillation(students === 'all' ? logits : logits.slice(-1), [ensemble], temperature);
}
