/** Distillation between distributions: the KL divergence that all soft terms share, and logit distillation from an ensemble. */
import { ops, type Tensor } from '@cohort-ml/torch';
import { assertLogits, assertTemperature, shapeOf } from './checks.ts';
import { LossError } from './errors.ts';

/**
 * KL divergence of a prediction from a constant target, one value per row, in nats:
 * `sum_k p_target (ln p_target - ln p)`.
 *
 * @param logProbabilities `[..., B, K]`
 * @param target log-probabilities of a shape that broadcasts to the same; detached here
 * @returns `[..., B]`
 * @throws {LossError} when the two have different numbers of classes K
 */
export function rowDivergence(logProbabilities: Tensor, target: Tensor): Tensor {
  if (logProbabilities.shape.at(-1) !== target.shape.at(-1)) {
    throw new LossError(
      'rowDivergence',
      `expected a target with the last dimension of ${shapeOf(logProbabilities)}`,
      shapeOf(target),
    );
  }
  const constant = target.detach();
  return constant.exp().mul(constant.sub(logProbabilities)).sum([-1]);
}

/**
 * KL divergence of a prediction from a constant target, summed over leading dimensions and averaged over the batch, in nats:
 * `T^2 / B * sum p_target (ln p_target - ln p)`. The factor keeps gradients as large as those of a cross-entropy
 * (Hinton et al., arXiv 1503.02531, section 2).
 *
 * @param logProbabilities `[..., B, K]`, already divided by the temperature before the softmax
 * @param target log-probabilities of a shape that broadcasts to the same; detached here
 * @param batch B, from 1
 * @param temperature T, above 0
 * @returns a scalar
 * @throws {LossError} for different numbers of classes, a batch that is not a whole number from 1, or a temperature that is not above 0
 */
export function softDivergence(
  logProbabilities: Tensor,
  target: Tensor,
  batch: number,
  temperature: number,
): Tensor {
  assertTemperature('softDivergence', temperature);
  if (!Number.isInteger(batch) || batch < 1) {
    throw new LossError('softDivergence', 'expected the batch to be a whole number from 1', `${batch}`);
  }
  return rowDivergence(logProbabilities, target)
    .sum()
    .mul((temperature * temperature) / batch);
}

/**
 * Networks towards softened targets, summed over every pair of a network and a target. In L-MCL the targets are the aggregated
 * logits of all networks, the network's own included (arXiv 2207.11518).
 *
 * @param logits `[B, classes]` of each network
 * @param targets logits `[B, classes]` of each target; detached
 * @param temperature T, above 0
 * @returns a scalar, in nats
 * @throws {LossError} for no logits, no targets, unequal shapes, or a temperature that is not above 0
 */
export function targetDistillation(
  logits: readonly Tensor[],
  targets: readonly Tensor[],
  temperature: number,
): Tensor {
  const { batch } = assertLogits('targetDistillation', logits);
  assertLogits('targetDistillation', targets, 'targets');
  const [own, other] = [logits[0], targets[0]].map((each) => (each === undefined ? '' : shapeOf(each)));
  if (own !== other)
    throw new LossError('targetDistillation', `expected targets of shape ${own}`, `${other}`);
  assertTemperature('targetDistillation', temperature);
  const soften = (scores: readonly Tensor[]): Tensor => ops.stack(scores, 0).div(temperature).logSoftmax(-1); // [N, B, classes]
  return softDivergence(soften(logits).unsqueeze(1), soften(targets), batch, temperature);
}

/**
 * Logit distillation: networks towards the softened mean of all networks' logits (arXiv 2104.12565, section 3.5), summed
 * over the networks that learn.
 *
 * @param logits `[B, classes]` of each network
 * @param temperature T, above 0
 * @param students which networks learn: all, or only the last
 * @returns a scalar, in nats
 * @throws {LossError} for no logits, unequal shapes, or a temperature that is not above 0
 */
export function logitDistillation(
  logits: readonly Tensor[],
  temperature: number,
  students: 'all' | 'last' = 'all',
): Tensor {
  assertLogits('logitDistillation', logits);
  assertTemperature('logitDistillation', temperature);
  const ensemble = ops.stack(logits, 0).mean([0]);
  return targetDistillation(students === 'all' ? logits : logits.slice(-1), [ensemble], temperature);
}
