/**
 * Layer-wise mutual contrastive learning (Yang et al., arXiv 2207.11518): every stage of one network against every stage
 * of every other, each pair of stages weighted per sample, all of them from one product of the stacked embeddings.
 */
import { ops, tensor, type Tensor } from '@cohort-ml/torch';
import {
  anchorLosses,
  assertTemperatures,
  positivesOf,
  type ContrastOptions,
  type ContrastTerms,
} from './contrast.ts';
import { rowDivergence } from './distillation.ts';
import { LossError } from './errors.ts';
import { at } from '../support/at.ts';

/**
 * The published sums run over ordered pairs of networks, and each of them counts both of its directions; here a pair is
 * computed once, and counts twice.
 */
const visits = 2;

/** Pairs of stages of different networks, as places in the stack of all networks' stages. */
interface StagePairs {
  /** Every pair once, then once more turned over. */
  readonly anchors: readonly number[];
  readonly others: readonly number[];
}

function pairStages(stagesPerNetwork: readonly number[]): StagePairs {
  const networkOf = stagesPerNetwork.flatMap((stages, network) => Array<number>(stages).fill(network));
  const pairs = networkOf.flatMap((network, place) =>
    networkOf.flatMap((laterNetwork, later) => (laterNetwork > network ? [[place, later] as const] : [])),
  );
  const both = [...pairs, ...pairs.map(([place, later]) => [later, place] as const)];
  return { anchors: both.map(([anchor]) => anchor), others: both.map(([, other]) => other) };
}

/** What VCL is divided by for its mean over all stages, given weights of 1: the terms that its sum counts. */
export function termsCounted(stagesPerNetwork: readonly number[]): number {
  return visits * pairStages(stagesPerNetwork).anchors.length;
}

/**
 * The weights that count, of pairs of stages of different networks.
 *
 * @param weights `[B, E, E]` for the E stages of all networks in order
 * @param stagesPerNetwork one number per network, E together
 * @returns `[P, B]`, every pair in both directions
 */
export function weightsAcross(weights: Tensor, stagesPerNetwork: readonly number[]): Tensor {
  const { anchors, others } = pairStages(stagesPerNetwork);
  const count = stagesPerNetwork.reduce((sum, stages) => sum + stages, 0);
  const places = anchors.map((anchor, pair) => anchor * count + at(others, pair, 'the pairs of stages'));
  return weights.flatten(1).indexSelect(1, tensor(places, 'int64')).t();
}

/**
 * All four terms, layer by layer. For stages `a` and `c` of different networks and their weight `w[b]`, VCL is the
 * contrastive loss inside `a`, ICL that of `a` against `c`; soft VCL is the KL divergence of the distribution inside `c`
 * from that inside `a`, soft ICL of `c` against `a` from `a` against `c`, targets detached. Every term is
 * `2 sum_ac mean_b w[b] term_ac[b]` over ordered pairs; when nothing in the batch is positive VCL and ICL are zero.
 *
 * @param embeddings for every network, one `[B, D]` per stage, L2-normalised, all of one width; the networks may differ in
 *   their number of stages
 * @param labels int64 `[B]`
 * @param weights `[B, E, E]` for the E stages of all networks in order, symmetric; what stands between stages of one
 *   network is not used
 * @throws {LossError} for fewer than two networks, a network without stages, unequal shapes, or temperatures that are
 *   not positive.
 */
export function layerwiseContrast(
  embeddings: readonly (readonly Tensor[])[],
  labels: Tensor,
  weights: Tensor,
  options: ContrastOptions,
): ContrastTerms {
  assertStages(embeddings, labels, weights);
  assertTemperatures('layerwiseContrast', options);
  const { temperature, distillationTemperature } = options;
  const batch = at(labels.shape, 0);
  const stages = embeddings.flat();
  const count = stages.length; // E
  const stagesPerNetwork = embeddings.map(({ length }) => length);
  const pairs = pairStages(stagesPerNetwork);
  const unordered = pairs.anchors.length / 2; // U
  const anchors = tensor(pairs.anchors, 'int64'); // [2U]
  const others = tensor(pairs.others, 'int64'); // [2U]

  const stacked = ops.stack(stages, 0); // [E, B, D]
  const scaled = stacked.div(temperature); // divides the small factor instead of every product
  const left = ops.cat([stacked, stacked.indexSelect(0, anchors.narrow(0, 0, unordered))], 0);
  const right = ops.cat([scaled, scaled.indexSelect(0, others.narrow(0, 0, unordered))], 0);
  const products = left.bmm(right.transpose(1, 2)); // [E + U, B, B]
  const turned = products.narrow(0, count, unordered).transpose(1, 2).contiguous(); // the other direction: [U, B, B]

  const positives = positivesOf(labels, products.dtype);
  // The mean similarity to the positives is the similarity to their mean.
  const pooled = positives.share.matmul(scaled); // [E, B, D]
  const attraction = ops
    .cat([stacked.mul(pooled), stacked.indexSelect(0, anchors).mul(pooled.indexSelect(0, others))], 0)
    .sum([-1]); // [E + 2U, B]
  const across = weightsAcross(weights, stagesPerNetwork); // [2U, B]
  const inside = ops.zeros([count, batch], { dtype: across.dtype }).indexAdd(0, anchors, across); // [E, B]
  const losses = anchorLosses([products, turned], attraction, positives).mul(ops.cat([inside, across], 0)); // [E + 2U, B]

  const [soft, softTurned] = [products, turned].map((similarity) =>
    similarity.div(distillationTemperature).logSoftmax(-1),
  ) as [Tensor, Tensor]; // [E + U, B, B] and [U, B, B]
  const softStraight = soft.narrow(0, count, unordered);
  const softIcl = ops
    .cat([rowDivergence(softStraight, softTurned), rowDivergence(softTurned, softStraight)], 0)
    .mul(across)
    .sum();
  const softVcl = everyDivergence(soft.narrow(0, 0, count))
    .mul(weightsOutside(weights, stagesPerNetwork))
    .sum();
  const scale = (visits * distillationTemperature * distillationTemperature) / batch;
  return {
    vcl: losses.narrow(0, 0, count).sum().mul(visits),
    icl: losses
      .narrow(0, count, 2 * unordered)
      .sum()
      .mul(visits),
    softVcl: softVcl.mul(scale),
    softIcl: softIcl.mul(scale),
  };
}

/**
 * KL divergence of every distribution from every other, the target detached, by one batched product. Taken of the
 * differences from the mean over distributions, which cancel: nearly equal distributions then differ by few roundings.
 *
 * @param logProbabilities `[E, B, K]`
 * @returns `[B, E, E]`: of target `c` (row) from prediction `a` (column)
 */
function everyDivergence(logProbabilities: Tensor): Tensor {
  const constant = logProbabilities.detach();
  const mean = constant.mean([0]); // [B, K]
  const target = constant.exp().transpose(0, 1); // [B, E, K]
  const ofTarget = target.mul(constant.sub(mean).transpose(0, 1)).sum([2], true); // [B, E, 1]
  return ofTarget.sub(target.bmm(logProbabilities.sub(mean).permute([1, 2, 0]))); // [B, E, E]
}

/** The weights with nothing between stages of one network, `[B, E, E]`. */
function weightsOutside(weights: Tensor, stagesPerNetwork: readonly number[]): Tensor {
  const networkOf = tensor(
    stagesPerNetwork.flatMap((stages, network) => Array<number>(stages).fill(network)),
    'int64',
  );
  return weights.mul(networkOf.unsqueeze(0).ne(networkOf.unsqueeze(1)).to(weights.dtype));
}

function assertStages(embeddings: readonly (readonly Tensor[])[], labels: Tensor, weights: Tensor): void {
  const refuse = (expected: string, got: string): never => {
    throw new LossError('layerwiseContrast', expected, got);
  };
  if (embeddings.length < 2) {
    refuse('two or more networks are needed to teach each other', `${embeddings.length}`);
  }
  const empty = embeddings.findIndex(({ length }) => length === 0);
  if (empty >= 0) refuse('every network must have a stage', `none in network ${empty}`);
  const stages = embeddings.flat();
  const shape = stages[0]?.shape ?? [];
  const odd = stages.find((stage) => stage.shape.length !== 2 || stage.shape.join() !== shape.join());
  if (odd !== undefined) {
    refuse(`embeddings must be [B, D] of one width, the first is [${shape.join(', ')}]`, String(odd));
  }
  const [batch = 0] = shape;
  if (labels.shape.join() !== `${batch}`) refuse(`labels must be [${batch}]`, String(labels));
  const count = stages.length;
  if (weights.shape.join() !== [batch, count, count].join()) {
    refuse(`weights must be [${batch}, ${count}, ${count}]`, String(weights));
  }
}
