/** Mutual distillation: networks that are each other's targets, all of the others at once or their mean. */
import { ops, type Tensor } from '@cohort-ml/torch';
import { softDivergence, targetDistillation } from './distillation.ts';
import { LossError } from './errors.ts';
import { at } from '../support/at.ts';

/**
 * Every network towards every other, averaged over the others and summed over networks: `sum_i 1 / (N - 1) sum_{j != i}
 * KL(p_j || p_i)` (Zhang et al., arXiv 1706.00384, equation 7).
 *
 * @param logits one `[B, classes]` per network, two or more; as targets they are detached
 * @throws {LossError} for fewer than two networks
 */
export function mutualDistillation(logits: readonly Tensor[], temperature: number): Tensor {
  assertSeveral('mutualDistillation', logits);
  // A network's divergence from itself is zero, so that all pairs may be summed.
  return targetDistillation(logits, logits, temperature).div(logits.length - 1);
}

/**
 * Every network towards the targets of all others, averaged over these and summed over networks; the target in a network's own
 * place is left out.
 *
 * @param logits one `[B, classes]` per network, two or more
 * @param targets logits, one `[B, classes]` per network, in the same order; detached
 * @throws {LossError} for fewer than two networks
 */
export function meansOfDivergences(
  logits: readonly Tensor[],
  targets: readonly Tensor[],
  temperature: number,
): Tensor {
  assertSeveral('meansOfDivergences', logits);
  return targetDistillation(logits, targets, temperature)
    .sub(pairedDistillation(logits, targets, temperature))
    .div(logits.length - 1);
}

/**
 * Every network towards a target of its own, summed over networks.
 *
 * @param logits one `[B, classes]` per network
 * @param targets logits, one `[B, classes]` per network, in the same order; detached
 * @throws {LossError} where there are not as many targets as networks
 */
export function pairedDistillation(
  logits: readonly Tensor[],
  targets: readonly Tensor[],
  temperature: number,
): Tensor {
  if (targets.length !== logits.length) {
    throw new LossError(
      'pairedDistillation',
      `expected a target for each of ${logits.length} networks`,
      `${targets.length}`,
    );
  }
  const batch = at(at(logits, 0, 'the logits of the networks').shape, 0);
  const soften = (scores: readonly Tensor[]): Tensor => ops.stack(scores, 0).div(temperature).logSoftmax(-1); // [N, B, classes]
  return softDivergence(soften(logits), soften(targets), batch, temperature);
}

/**
 * For each network the mean of all others' logits.
 *
 * @param logits one `[B, classes]` per network, two or more
 * @throws {LossError} for fewer than two networks
 */
export function meansOfOthers(logits: readonly Tensor[]): Tensor[] {
  assertSeveral('meansOfOthers', logits);
  const total = ops.stack(logits, 0).sum([0]); // [B, classes]
  return logits.map((own) => total.sub(own).div(logits.length - 1));
}

function assertSeveral(operation: string, logits: readonly Tensor[]): void {
  if (logits.length >= 2) return;
  throw new LossError(operation, 'expected two or more networks', `${logits.length}`);
}
