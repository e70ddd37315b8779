/** Classification: the cross-entropy of every network in a cohort, towards one label an image or two where images were mixed. */
import { ops, type Tensor } from '@cohort-ml/torch';

/** Second labels of images that were mixed. */
export interface MixedLabels {
  /** Labels of the partners, int64 `[B]`. */
  readonly labels: Tensor;
  /** Share of the own label, 0 to 1, float32 `[B]`; the partner's has the rest. */
  readonly weight: Tensor;
}

/**
 * Cross-entropy, summed over networks and averaged over the batch. Of a mixed image it is the mean of its two labels'
 * cross-entropies, weighted by share (mixup, arXiv 1710.09412, section 2).
 *
 * @param logits one `[B, classes]` a network
 * @param labels int64 `[B]`
 * @param mix partners of the labels
 */
export function classification(logits: readonly Tensor[], labels: Tensor, mix?: MixedLabels): Tensor {
  return ops
    .stack(
      logits.map((scores) =>
        mix === undefined ? scores.crossEntropyLoss(labels) : mixedCrossEntropy(scores, labels, mix),
      ),
      0,
    )
    .sum();
}

function mixedCrossEntropy(scores: Tensor, labels: Tensor, mix: MixedLabels): Tensor {
  // Under autocast logits may come in bfloat16, whose two digits are too few for a share of a loss.
  const precise = scores.dtype === 'bfloat16' ? scores.to('float32') : scores;
  const logProbabilities = precise.logSoftmax(1); // [B, classes]
  const towards = (classes: Tensor): Tensor => logProbabilities.gather(1, classes.unsqueeze(1)).squeeze(1); // [B]
  const own = towards(labels).mul(mix.weight);
  return own
    .add(towards(mix.labels).mul(mix.weight.neg().add(1)))
    .mean()
    .neg();
}

/**
 * The one label that contrast goes by: an anchor is either a positive of another or not, so a mixed image counts as what
 * most of it is; at equal shares the own label stands.
 *
 * @param labels int64 `[B]`
 */
export function dominantLabels(labels: Tensor, mix?: MixedLabels): Tensor {
  return mix === undefined ? labels : ops.where(mix.weight.ge(0.5), labels, mix.labels);
}
