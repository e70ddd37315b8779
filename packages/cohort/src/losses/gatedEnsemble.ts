/** The ensemble that a gate weighs (ONE, Lan et al., arXiv 1806.04606, section 3). */
import { ops, type Tensor } from '@cohort-ml/torch';

/**
 * `sum_i g_i z_i` with `g = softmax(scores)`, separately for every image. Gradients reach logits and scores.
 *
 * @param logits one `[B, classes]` per network
 * @param scores of the gate before softmax, `[B, N]`
 * @returns `[B, classes]`
 */
export function gatedEnsemble(logits: readonly Tensor[], scores: Tensor): Tensor {
  const gates = scores.softmax(1).unsqueeze(2); // [B, N, 1]
  return ops.stack(logits, 1).mul(gates).sum([1]); // [B, N, classes] -> [B, classes]
}
