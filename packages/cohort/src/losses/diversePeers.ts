/** Targets of its own for every peer, by attention (OKDDip, Chen et al., arXiv 1912.00350, first level). */
import { ops, type Tensor } from '@cohort-ml/torch';
import { at } from '../support/at.ts';

/**
 * How much each peer heeds each, itself among them: `softmax_b(query_a . key_b)`.
 *
 * @param queries `[B, P, D]`
 * @param keys `[B, P, D]`
 * @returns `[B, P, P]`, rows sum to 1
 */
export function peerAttention(queries: Tensor, keys: Tensor): Tensor {
  return queries.bmm(keys.transpose(1, 2)).softmax(-1);
}

/**
 * Peers towards the mixtures that they attend to, summed over peers: `T^2 KL(softmax(sum_b A_ab z_b / T) || p_a)`.
 *
 * @param logits one `[B, classes]` a peer
 * @param attention `[B, P, P]`
 * @param isTargetConstant whether the targets are detached; if so, nothing trains the attention
 */
export function attendedDistillation(
  logits: readonly Tensor[],
  attention: Tensor,
  temperature: number,
  isTargetConstant: boolean,
): Tensor {
  const all = ops.stack(logits, 1); // [B, P, classes]
  const mixtures = attention.bmm(all);
  const soften = (scores: Tensor): Tensor => scores.div(temperature).logSoftmax(-1);
  const targets = soften(isTargetConstant ? mixtures.detach() : mixtures);
  return targets
    .exp()
    .mul(targets.sub(soften(all)))
    .sum()
    .mul((temperature * temperature) / at(all.shape, 0));
}
