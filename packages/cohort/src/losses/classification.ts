/**
 * Classification: the cross-entropy of every network in a cohort, towards one label an image or two where images were
 * mixed; with label smoothing, class weights and logit adjustment where a recipe asks for them.
 */
import { ops, Tensor } from '@cohort-ml/torch';
import { LossError } from './errors.ts';

/** Second labels of images that were mixed. */
export interface MixedLabels {
  /** Labels of the partners, int64 `[B]`. */
  readonly labels: Tensor;
  /** Share of the own label, 0 to 1, float32 `[B]`; the partner's has the rest. */
  readonly weight: Tensor;
}

/** What the cross-entropy is computed with; without any of it, it is the plain one. */
export interface ClassificationOptions {
  /** Share of the target that is spread evenly over all classes (Szegedy et al., arXiv 1512.00567, section 7), 0 to below 1. */
  readonly labelSmoothing?: number;
  /** What every class counts, `[classes]`, 0 or more. */
  readonly classWeights?: readonly number[] | null;
  /**
   * Added to the logits before the softmax, `[classes]`: `tau ln(prior)` for the logit-adjusted loss (Menon et al.,
   * arXiv 2007.07314, equation 10). Predictions are made from the logits as they are.
   */
  readonly logitOffsets?: readonly number[] | null;
}

/** The cross-entropy of a cohort, as methods call it. */
export type Classification = (logits: readonly Tensor[], labels: Tensor, mix?: MixedLabels) => Tensor;

/**
 * Cross-entropy, summed over networks and averaged over the batch. Of a mixed image it is the mean of its two labels'
 * cross-entropies, weighted by share (mixup, arXiv 1710.09412, section 2).
 *
 * With class weights it is PyTorch's weighted mean: every image counts its label's weight (a mixed image both labels'
 * weights by share), and the sum is divided by what all images count. With smoothing the target of class k is
 * `(1 - labelSmoothing) [k is the label] + labelSmoothing / classes`, and every class's part counts its own weight.
 *
 * @param logits one `[B, classes]` per network, in nats
 * @param labels int64 `[B]`
 * @param mix partners of the labels
 * @returns float32 `[]`
 * @throws {LossError} for class weights or offsets that are not one per class
 */
export function classification(
  logits: readonly Tensor[],
  labels: Tensor,
  mix?: MixedLabels,
  options: ClassificationOptions = {},
): Tensor {
  return ops
    .stack(
      logits.map((scores) => crossEntropy(scores, labels, mix, options)),
      0,
    )
    .sum();
}

/** The cross-entropy with these options, for methods. */
export function classificationWith(options: ClassificationOptions): Classification {
  return (logits, labels, mix) => classification(logits, labels, mix, options);
}

function crossEntropy(
  scores: Tensor,
  labels: Tensor,
  mix: MixedLabels | undefined,
  { labelSmoothing = 0, classWeights = null, logitOffsets = null }: ClassificationOptions,
): Tensor {
  const weight = classWeights === null ? null : perClass('classWeights', classWeights, scores);
  const adjusted =
    logitOffsets === null ? scores : inFloat32(scores).add(perClass('logitOffsets', logitOffsets, scores)); // [B, classes]
  if (mix !== undefined) return mixedCrossEntropy(adjusted, labels, mix, weight, labelSmoothing);
  return weight === null && labelSmoothing === 0
    ? adjusted.crossEntropyLoss(labels)
    : adjusted.crossEntropyLoss(labels, { weight, labelSmoothing });
}

function mixedCrossEntropy(
  scores: Tensor,
  labels: Tensor,
  mix: MixedLabels,
  weight: Tensor | null,
  labelSmoothing: number,
): Tensor {
  const logProbabilities = inFloat32(scores).logSoftmax(1); // [B, classes]
  const weighted = weight === null ? logProbabilities : logProbabilities.mul(weight);
  const towards = (classes: Tensor): Tensor => weighted.gather(1, classes.unsqueeze(1)).squeeze(1); // [B]
  const byShare = (own: Tensor, other: Tensor): Tensor =>
    own.mul(mix.weight).add(other.mul(mix.weight.neg().add(1)));
  const hard = byShare(towards(labels), towards(mix.labels)); // [B]
  const smoothed =
    labelSmoothing === 0
      ? hard
      : hard.mul(1 - labelSmoothing).add(weighted.mean([1]), { alpha: labelSmoothing });
  if (weight === null) return smoothed.mean().neg();
  const counts = byShare(weight.indexSelect(0, labels), weight.indexSelect(0, mix.labels)); // [B]
  return smoothed.sum().div(counts.sum()).neg();
}

/** Under autocast logits may come in bfloat16, whose two digits are too few for a share of a loss. */
function inFloat32(scores: Tensor): Tensor {
  return scores.dtype === 'bfloat16' ? scores.to('float32') : scores;
}

function perClass(name: string, values: readonly number[], scores: Tensor): Tensor {
  const classes = scores.shape[1];
  if (values.length !== classes) {
    throw new LossError(
      'classification',
      `expected ${name} with one value for each of ${String(classes)} classes`,
      `${values.length}`,
    );
  }
  const dtype = scores.dtype === 'float64' ? 'float64' : 'float32';
  return Tensor.fromTypedArray(Float64Array.from(values)).to(dtype);
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
