/** An individual target for every peer, by attention (first level of OKDDip, Chen et al., arXiv 1912.00350). */
import { ops, type Tensor } from '@cohort-ml/torch';
import { assertLogits, assertShape, assertTemperature, shapeOf } from './checks.ts';
import { LossError } from './errors.ts';

/**
 * How much attention each peer pays to each, itself included: `softmax_b(query_a . key_b)`.
 *
 * @param queries `[B, P, D]`
 * @param keys `[B, P, D]`
 * @returns `[B, P, P]`; rows sum to 1. Gradients reach queries and keys
 * @throws {LossError} when queries and keys are not `[B, P, D]` of one shape
 */
export function peerAttention(queries: Tensor, keys: Tensor): Tensor {
  assertShape('peerAttention', 'queries', queries, [null, null, null]);
  if (shapeOf(keys) !== shapeOf(queries)) {
    throw new LossError(
      'peerAttention',
      `expected keys of the queries' shape ${shapeOf(queries)}`,
      shapeOf(keys),
    );
  }
  return queries.bmm(keys.transpose(1, 2)).softmax(-1);
}

/**
 * Peers towards the mixtures that they attend to, the mean over the batch and the sum over peers:
 * `T^2 KL(softmax(sum_b A_ab z_b / T) || p_a)`, in nats.
 *
 * @param logits `[B, classes]` of each of the P peers
 * @param attention `[B, P, P]`; row a has the weights of the target of peer a
 * @param temperature T, above 0
 * @param isTargetConstant whether the targets are detached; if so, nothing trains the attention
 * @returns a scalar
 * @throws {LossError} for logits of unequal shapes, attention of another shape, or a temperature that is not above 0
 */
export function attendedDistillation(
  logits: readonly Tensor[],
  attention: Tensor,
  temperature: number,
  isTargetConstant: boolean,
): Tensor {
  const { batch } = assertLogits('attendedDistillation', logits);
  assertShape('attendedDistillation', 'attention', attention, [batch, logits.length, logits.length]);
  assertTemperature('attendedDistillation', temperature);
  const all = ops.stack(logits, 1); // [B, P, classes]
  const mixtures = attention.bmm(all);
  const soften = (scores: Tensor): Tensor => scores.div(temperature).logSoftmax(-1);
  const targets = soften(isTargetConstant ? mixtures.detach() : mixtures);
  return targets
    .exp()
    .mul(targets.sub(soften(all)))
    .sum()
    .mul((temperature * temperature) / batch);
}
