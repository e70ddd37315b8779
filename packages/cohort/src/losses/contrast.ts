/**
 * Mutual contrastive learning between the embeddings of a cohort, with the batch as contrast samples: VCL, ICL, soft VCL
 * and soft ICL (Yang et al., arXiv 2104.12565, equations 2, 5, 8 and 9), for all networks from one matrix product.
 */
import { ops, type Tensor } from '@cohort-ml/torch';
import { softDivergence } from './distillation.ts';
import { LossError } from './errors.ts';
import { at } from '../support/at.ts';

/** The four terms of mutual contrastive learning, each a scalar summed over networks or ordered pairs of networks. */
export interface ContrastTerms {
  /** Contrast inside each network; near `networks * ln(B - 1)` when embeddings say nothing. */
  readonly vcl: Tensor;
  /** Contrast between networks. */
  readonly icl: Tensor;
  /** KL between the contrastive distributions inside two networks, target detached. */
  readonly softVcl: Tensor;
  /** KL between the contrastive distributions across two networks, target detached. */
  readonly softIcl: Tensor;
}

/** Temperatures of the distributions. */
export interface ContrastOptions {
  /** tau: similarities are divided by it. */
  readonly temperature: number;
  /** T: both sides of the soft terms are divided by it, and the result multiplied by its square. */
  readonly distillationTemperature: number;
}

/** Stands for minus infinity; its product with zero is zero, not NaN. */
export const excluded = -1e30;

/**
 * Similarities of every sample in every network to every sample in every other: `S[i, j] = e_i e_j^T / tau`.
 *
 * @param embeddings one `[B, D]` per network, L2-normalised
 * @returns `[N, N, B, B]`
 */
export function similarities(embeddings: readonly Tensor[], temperature: number): Tensor {
  const networks = embeddings.length;
  const batch = at(at(embeddings, 0, 'the embeddings of the networks').shape, 0);
  const stacked = ops.cat(embeddings, 0); // [N B, D]
  return stacked
    .matmul(stacked.t())
    .div(temperature)
    .view([networks, batch, networks, batch])
    .transpose(1, 2); // [N, B, N, B] -> [N, N, B, B]
}

/** Which samples of a batch are positives of which. */
export interface Positives {
  /** The anchor's own place, which is left out: bool `[B, B]`, the diagonal. */
  readonly self: Tensor;
  /** `[B, B]`: a row holds the anchor's share of each positive; rows sum to 1, or to 0 without a positive. */
  readonly share: Tensor;
  /** `[B]`: 1 for anchors that have a positive, divided by how many such anchors there are; else 0. */
  readonly anchorShare: Tensor;
}

/**
 * Positives share the anchor's label.
 *
 * @param labels int64 `[B]`
 * @param dtype of the shares
 */
export function positivesOf(labels: Tensor, dtype: Tensor['dtype']): Positives {
  const self = ops.eye(at(labels.shape, 0), { dtype: 'bool' });
  const positive = labels.unsqueeze(0).eq(labels.unsqueeze(1)).logicalAnd(self.logicalNot()).to(dtype); // [B, B]
  const count = positive.sum([1], true); // [B, 1]
  const anchors = count.gt(0).to(dtype).squeeze(1); // [B]
  return {
    self,
    share: positive.div(count.clampMin(1)),
    anchorShare: anchors.div(anchors.sum().clampMin(1)),
  };
}

/**
 * Contrastive loss of every anchor (equations 2 and 5): the anchor's own index is left out of the denominator and of the
 * positives, and the mean is taken over positives. Divided by the number of anchors that have a positive, so that the sum
 * is the batch's mean; anchors without one give zero.
 *
 * @param similarities `[M, ..., B, B]`, anchors in rows; several follow one another along M
 * @param attraction `[M, ..., B]`: mean similarity of every anchor to its positives
 * @returns `[M, ..., B]`
 */
export function anchorLosses(
  similarities: readonly Tensor[],
  attraction: Tensor,
  { self, anchorShare }: Positives,
): Tensor {
  const normalisers = similarities.map((each) => each.maskedFill(self, excluded).logsumexp([-1])); // [M, ..., B]
  return ops.cat(normalisers, 0).sub(attraction).mul(anchorShare);
}

/**
 * Contrastive loss of every ordered pair of networks, the mean over the anchors that have a positive; with none it is
 * zero.
 *
 * @param similarity `[N, N, B, B]`
 * @param labels int64 `[B]`
 * @returns `[N, N]`; the diagonal is VCL, the rest ICL
 */
export function contrastiveLoss(similarity: Tensor, labels: Tensor): Tensor {
  const positives = positivesOf(labels, similarity.dtype);
  const attraction = similarity.mul(positives.share).sum([-1]); // [N, N, B]
  return anchorLosses([similarity], attraction, positives).sum([-1]);
}

/**
 * All four terms for a cohort of any size.
 *
 * @param embeddings one `[B, D]` per network, L2-normalised, all of the same width
 * @param labels int64 `[B]`
 * @throws {LossError} for fewer than two networks, unequal shapes, or temperatures that are not positive.
 */
export function mutualContrast(
  embeddings: readonly Tensor[],
  labels: Tensor,
  options: ContrastOptions,
): ContrastTerms {
  assertCohort(embeddings, labels, options);
  const { temperature, distillationTemperature } = options;
  const batch = at(labels.shape, 0);
  const similarity = similarities(embeddings, temperature); // [N, N, B, B]
  const losses = contrastiveLoss(similarity, labels); // [N, N]
  const vcl = losses.trace();
  const soft = similarity.div(distillationTemperature).logSoftmax(-1); // [N, N, B, B]
  const inside = soft.diagonal({ dim1: 0, dim2: 1 }).permute([2, 0, 1]); // [N, B, B]
  return {
    vcl,
    icl: losses.sum().sub(vcl),
    // Every network against every other as target: [1, N, B, B] against [N, 1, B, B]; a pair with itself adds zero.
    softVcl: softDivergence(inside.unsqueeze(0), inside.unsqueeze(1), batch, distillationTemperature),
    softIcl: softDivergence(soft, soft.transpose(0, 1), batch, distillationTemperature),
  };
}

/** @throws {LossError} when a temperature is not a finite number above 0. */
export function assertTemperatures(operation: string, options: ContrastOptions): void {
  for (const [name, value] of Object.entries(options) as [string, number][]) {
    if (!(value > 0 && Number.isFinite(value))) {
      throw new LossError(operation, `${name} must be a finite number above 0`, String(value));
    }
  }
}

function assertCohort(embeddings: readonly Tensor[], labels: Tensor, options: ContrastOptions): void {
  if (embeddings.length < 2) {
    throw new LossError(
      'mutualContrast',
      'two or more networks are needed to teach each other',
      `${embeddings.length}`,
    );
  }
  assertTemperatures('mutualContrast', options);
  const expected = embeddings[0]?.shape.join(', ') ?? '';
  const odd = embeddings.find(({ shape }) => shape.length !== 2 || shape.join(', ') !== expected);
  if (odd !== undefined) {
    throw new LossError(
      'mutualContrast',
      `embeddings must be [B, D] of one width, the first is [${expected}]`,
      String(odd),
    );
  }
  if (labels.shape.length !== 1 || labels.shape[0] !== embeddings[0]?.shape[0]) {
    throw new LossError(
      'mutualContrast',
      `labels must be one for each of the embeddings' rows, [${expected}]`,
      String(labels),
    );
  }
}
