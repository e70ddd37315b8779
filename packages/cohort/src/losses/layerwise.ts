/**
 * Layer-wise mutual contrastive learning (Yang et al., arXiv 2207.11518): every stage of one network against every stage
 * of every other, each pair of stages weighted per sample, all of them from one product of the stacked embeddings.
 */
import { ops, tensor, type Tensor } from '@cohort/torch';
import { anchorLosses, assertTemperatures, type ContrastOptions, type ContrastTerms } from './contrast.ts';
import { rowDivergence } from './distillation.ts';
import { LossError } from './errors.ts';

/**
 * The published sums run over ordered pairs of networks, and each of them counts both of its directions; here a pair is
 * computed once, and counts twice.
 */
const visits = 2;

/** Places, in the stack of all networks' stages, of stages that belong to different networks; each pair once. */
interface StagePairs {
  readonly first: readonly number[];
  readonly second: readonly number[];
}

function pairStages(stagesPerNetwork: readonly number[]): StagePairs {
  const networkOf = stagesPerNetwork.flatMap((stages, network) => Array<number>(stages).fill(network));
  const pairs = networkOf.flatMap((network, place) =>
    networkOf.flatMap((other, later) => (other > network ? [{ place, later }] : [])),
  );
  return { first: pairs.map(({ place }) => place), second: pairs.map(({ later }) => later) };
}

/**
 * All four terms, layer by layer. For stages `a` and `c` of different networks and their weight `w[b]`, VCL is the
 * contrastive loss inside `a`, ICL that of `a` against `c`; soft VCL is the KL divergence of the distribution inside `c`
 * from that inside `a`, soft ICL of `c` against `a` from `a` against `c`, targets detached. Every term is
 * `2 sum_ac mean_b w[b] term_ac[b]` over ordered pairs; when nothing in the batch is positive VCL and ICL are zero.
 *
 * @param embeddings for every network, one `[B, D]` a stage, L2-normalised, all of one width; the networks may differ in
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
  const batch = labels.shape[0] ?? 0;
  const stages = embeddings.flat();
  const count = stages.length; // E
  const { first, second } = pairStages(embeddings.map(({ length }) => length)); // U pairs each
  const anchors = tensor([...first, ...second], 'int64'); // [2U]: every pair in both directions
  const others = tensor([...second, ...first], 'int64'); // [2U]

  const every = Array.from({ length: count }, (_, place) => place);
  const stacked = ops.stack(stages, 0); // [E, B, D]
  const left = stacked.indexSelect(0, tensor([...every, ...first], 'int64'));
  const right = stacked.indexSelect(0, tensor([...every, ...second], 'int64'));
  const products = left.bmm(right.transpose(1, 2)).div(temperature); // [E + U, B, B]
  const turned = products.narrow(0, count, first.length).transpose(1, 2); // the other direction: [U, B, B]
  const similarity = ops.cat([products, turned], 0); // [E + 2U, B, B]

  const across = weights.flatten(1).indexSelect(1, anchors.mul(count).add(others)).t(); // [2U, B]
  const inside = ops.zeros([count, batch], { dtype: across.dtype }).indexAdd(0, anchors, across); // [E, B]
  const losses = anchorLosses(similarity, labels).mul(ops.cat([inside, across], 0)); // [E + 2U, B]

  const soft = similarity.div(distillationTemperature).logSoftmax(-1); // [E + 2U, B, B]
  const softInside = soft.narrow(0, 0, count); // [E, B, B]
  const softAcross = soft.narrow(0, count, 2 * first.length); // [2U, B, B]
  const softVcl = rowDivergence(softInside.indexSelect(0, anchors), softInside.indexSelect(0, others));
  const softIcl = rowDivergence(softAcross, softAcross.roll(first.length, 0));
  const scale = (visits * distillationTemperature * distillationTemperature) / batch;
  return {
    vcl: losses.narrow(0, 0, count).sum().mul(visits),
    icl: losses
      .narrow(0, count, 2 * first.length)
      .sum()
      .mul(visits),
    softVcl: softVcl.mul(across).sum().mul(scale),
    softIcl: softIcl.mul(across).sum().mul(scale),
  };
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
