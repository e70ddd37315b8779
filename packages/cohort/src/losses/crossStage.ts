/** Dense cross-layer mutual distillation (DCM, Yao and Sun, arXiv 2008.07816): every classifier from every one of the others. */
import { ops, type Tensor } from '@cohort-ml/torch';
import { targetDistillation } from './distillation.ts';
import { LossError } from './errors.ts';
import { pairedDistillation } from './mutual.ts';

/** Distillation between stages of different networks, each averaged over the other networks. */
export interface CrossStageTerms {
  /** Between classifiers of the same stage, counted from the last. */
  readonly sameStage: Tensor;
  /** Between classifiers of different stages. */
  readonly crossStage: Tensor;
}

/**
 * `1 / (N - 1) sum_{a != c} sum_{k, z} KL(p_cz || p_ak)`, in two sums by whether the stages k and z are the same.
 *
 * @param logits for every network, two or more, one `[B, classes]` per stage, the network's own last; as targets detached
 * @throws {LossError} for fewer than two networks
 */
export function crossStageDistillation(
  logits: readonly (readonly Tensor[])[],
  temperature: number,
): CrossStageTerms {
  if (logits.length < 2) {
    throw new LossError('crossStageDistillation', 'expected two or more networks', `${logits.length}`);
  }
  const same: Tensor[] = [];
  const all: Tensor[] = [];
  for (const [student, own] of logits.entries()) {
    for (const [teacher, theirs] of logits.entries()) {
      if (student === teacher) continue;
      const shared = Math.min(own.length, theirs.length);
      same.push(pairedDistillation(own.slice(-shared), theirs.slice(-shared), temperature));
      all.push(targetDistillation(own, theirs, temperature));
    }
  }
  const sameStage = ops
    .stack(same, 0)
    .sum()
    .div(logits.length - 1);
  const everyStage = ops
    .stack(all, 0)
    .sum()
    .div(logits.length - 1);
  return { sameStage, crossStage: everyStage.sub(sameStage) };
}
