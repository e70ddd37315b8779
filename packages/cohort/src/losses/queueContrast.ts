/**
 * Contrast of queries with the keys of momentum encoders and queues of earlier keys (MoCo, He et al., arXiv 1911.05722), and
 * mutual contrastive learning between such networks: VCL, ICL, soft VCL and soft ICL (Yang et al., arXiv 2104.12565)
 * without labels, the only positive of a query being the key of the same image.
 */
import { ops, type Tensor } from '@cohort-ml/torch';
import { at } from '../support/at.ts';
import { assertTemperatures, type ContrastOptions, type ContrastTerms } from './contrast.ts';
import { softDivergence } from './distillation.ts';
import { LossError } from './errors.ts';

/** What queries are compared with; everything is L2-normalised and of one width D. */
export interface QueueContrastInput {
  /** First views, one `[B, D]` per network, with gradients. */
  readonly queries: readonly Tensor[];
  /** Second views of the same images by the networks' momentum encoders, one `[B, D]` per network; constants. */
  readonly keys: readonly Tensor[];
  /** Keys of earlier batches, one `[K, D]` per network; constants. */
  readonly queues: readonly Tensor[];
}

/**
 * The loss of MoCo, summed over networks that learn each by itself: cross-entropy of `[q k, q queue^T] / tau` with the
 * first place as the right answer (arXiv 1911.05722, equation 1), meant over the batch.
 *
 * @param temperature tau
 * @returns a scalar, in nats; `ln(1 + K)` per network when embeddings say nothing
 * @throws {LossError} for shapes that do not fit, or a temperature that is not above 0
 */
export function momentumContrast(input: QueueContrastInput, temperature: number): Tensor {
  assertShapes('momentumContrast', input, 1);
  assertTemperatures('momentumContrast', { temperature, distillationTemperature: 1 });
  const { queries, keys, queues } = input;
  const losses = queries.map((query, network) => {
    const positive = query.mul(at(keys, network)).sum([1], true); // [B, 1]
    const scores = ops.cat([positive, query.matmul(at(queues, network).t())], 1).div(temperature); // [B, 1 + K]
    return firstPlaceLoss(scores);
  });
  return ops.stack(losses, 0).sum();
}

/**
 * All four terms for two or more networks. With `S_ac` the scores of network a's queries with network c's keys and queue,
 * VCL is the cross-entropy of `S_aa`, ICL that of `S_ac`, soft VCL `KL(S_cc || S_aa)` and soft ICL `KL(S_ca || S_ac)`, targets
 * detached, summed over networks or ordered pairs of them and meant over the batch.
 *
 * @throws {LossError} for fewer than two networks, shapes that do not fit, or temperatures that are not above 0
 */
export function queueContrast(input: QueueContrastInput, options: ContrastOptions): ContrastTerms {
  assertShapes('queueContrast', input, 2);
  assertTemperatures('queueContrast', options);
  const { temperature, distillationTemperature } = options;
  const scores = everyScore(input).div(temperature); // [N, N, B, 1 + K]
  const [, , batch = 1] = scores.shape;
  const losses = firstPlaceLoss(scores); // [N, N]
  const vcl = losses.trace();
  const soft = scores.div(distillationTemperature).logSoftmax(-1); // [N, N, B, 1 + K]
  const inside = soft.diagonal({ dim1: 0, dim2: 1 }).permute([2, 0, 1]); // [N, B, 1 + K]
  return {
    vcl,
    icl: losses.sum().sub(vcl),
    // Every network against every other as target: [1, N, B, 1 + K] against [N, 1, B, 1 + K]; a pair with itself adds zero.
    softVcl: softDivergence(inside.unsqueeze(0), inside.unsqueeze(1), batch, distillationTemperature),
    softIcl: softDivergence(soft, soft.transpose(0, 1), batch, distillationTemperature),
  };
}

/** Products of every network's queries with every network's keys and queue, from one matrix product: `[N, N, B, 1 + K]`. */
function everyScore({ queries, keys, queues }: QueueContrastInput): Tensor {
  const networks = queries.length;
  const [batch = 0] = at(queries, 0).shape;
  const [length = 0] = at(queues, 0).shape;
  const stacked = ops.stack(queries, 0); // [N, B, D]
  const positives = stacked.unsqueeze(1).mul(ops.stack(keys, 0).unsqueeze(0)).sum([-1]); // [N, N, B]
  const negatives = stacked
    .flatten(0, 1)
    .matmul(ops.cat(queues, 0).t()) // [N B, N K]
    .view([networks, batch, networks, length])
    .transpose(1, 2); // [N, N, B, K]
  return ops.cat([positives.unsqueeze(-1), negatives], -1);
}

/** Cross-entropy with the first place as the right answer, meant over rows: `[..., B, 1 + K] -> [...]`. */
function firstPlaceLoss(scores: Tensor): Tensor {
  return scores.logsumexp([-1]).sub(scores.select(-1, 0)).mean([-1]);
}

function assertShapes(operation: string, input: QueueContrastInput, fewest: number): void {
  const { queries, keys, queues } = input;
  if (queries.length < fewest) {
    const expected = fewest === 1 ? 'a network' : 'two or more networks to teach each other';
    throw new LossError(operation, `expected ${expected}`, `${queries.length}`);
  }
  const [batch = 0, width = 0] = at(queries, 0).shape;
  const [length = 0] = queues[0]?.shape ?? [];
  for (const [name, tensors, shape] of [
    ['queries', queries, [batch, width]],
    ['keys', keys, [batch, width]],
    ['queues', queues, [length, width]],
  ] as const) {
    const isOdd =
      tensors.length !== queries.length || tensors.some((each) => each.shape.join() !== shape.join());
    if (!isOdd) continue;
    throw new LossError(
      operation,
      `expected ${name} of shape [${shape.join(', ')}], one for each of ${queries.length} networks`,
      tensors.map((each) => `[${each.shape.join(', ')}]`).join(', ') || 'none',
    );
  }
}
