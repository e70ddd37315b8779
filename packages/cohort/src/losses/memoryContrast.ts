/**
 * Mutual contrastive learning against memory banks (Yang et al., arXiv 2104.12565, section 3.6): where labels are many and
 * a batch holds hardly two images of a class, positives and negatives are embeddings remembered from earlier steps.
 */
import { noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';
import { assertTemperatures, excluded, type ContrastOptions, type ContrastTerms } from './contrast.ts';
import { softDivergence } from './distillation.ts';
import { LossError } from './errors.ts';
import { at } from '../support/at.ts';

/** Which remembered images every anchor is compared with. */
export interface ContrastSamples {
  /**
   * int64 `[B, 1 + P]`: the anchor itself, then P images of its class. An anchor that is alone in its class has itself
   * in these places too, which are then left out.
   */
  readonly positives: Tensor;
  /** int64 `[B, K]`: images of other classes. */
  readonly negatives: Tensor;
}

/**
 * All four terms against memory banks. ICL compares a network's embeddings with another network's bank, the anchor's own
 * row being a positive; VCL with its own bank, without that row. The mean over positives comes first, then over anchors.
 *
 * @param embeddings one `[B, D]` per network, L2-normalised
 * @param banks one `[images, D]` per network, L2-normalised; constants
 * @throws {LossError} for fewer than two networks, shapes that do not fit, or temperatures that are not positive.
 */
export function memoryContrast(
  embeddings: readonly Tensor[],
  banks: readonly Tensor[],
  samples: ContrastSamples,
  options: ContrastOptions,
): ContrastTerms {
  assertMemory(embeddings, banks, samples);
  assertTemperatures('memoryContrast', options);
  const { temperature, distillationTemperature } = options;
  const { positives, negatives } = samples;
  const columns = ops.cat([positives, negatives], 1); // [B, C]
  const [batch = 0, count = 0] = columns.shape;
  const stacked = ops.stack(embeddings, 2); // [B, D, N]
  const perBank = banks.map((bank) => {
    const rows = bank.indexSelect(0, columns.flatten()).view([batch, count, -1]); // [B, C, D]
    return rows.bmm(stacked); // [B, C, N]
  });
  const everyColumn = ops.stack(perBank, 0).permute([3, 0, 1, 2]).div(temperature); // [N, N, B, C]: network, bank

  const self = positives.narrow(1, 0, 1); // [B, 1]
  const isExtra = positives.narrow(1, 1, at(positives.shape, 1) - 1).ne(self); // [B, P]
  const isPositive = ops.cat([self.onesLike().to('bool'), isExtra, negatives.zerosLike().to('bool')], 1);
  const isLeftOut = columns.eq(self).logicalAnd(isPositive.logicalNot()); // [B, C]
  const similarity = everyColumn.maskedFill(isLeftOut, excluded);
  const across = similarity.logSoftmax(-1); // [N, N, B, C]
  const icl = meanOverPositives(across, isPositive); // [N, N]
  const inside = similarity
    .diagonal({ dim1: 0, dim2: 1 })
    .permute([2, 0, 1])
    .narrow(2, 1, count - 1); // [N, B, C - 1]
  const vcl = meanOverPositives(inside.logSoftmax(-1), isPositive.narrow(1, 1, count - 1)); // [N]

  const softAcross = similarity.div(distillationTemperature).logSoftmax(-1); // [N, N, B, C]
  const softInside = inside.div(distillationTemperature).logSoftmax(-1); // [N, B, C - 1]
  return {
    vcl: vcl.sum(),
    icl: icl.sum().sub(icl.trace()),
    softVcl: softDivergence(softInside.unsqueeze(0), softInside.unsqueeze(1), batch, distillationTemperature),
    softIcl: softDivergence(softAcross, softAcross.transpose(0, 1), batch, distillationTemperature),
  };
}

/** Minus the mean log-probability of the positives, meant over the anchors that have one: `[..., B, C] -> [...]`. */
function meanOverPositives(logProbabilities: Tensor, isPositive: Tensor): Tensor {
  const positive = isPositive.to(logProbabilities.dtype); // [B, C]
  const count = positive.sum([1]); // [B]
  const share = positive.div(count.clampMin(1).unsqueeze(1)); // [B, C]
  const anchors = count.gt(0).to(logProbabilities.dtype).sum().clampMin(1);
  return logProbabilities.mul(share).sum([-2, -1]).neg().div(anchors);
}

/**
 * Moves the rows of a step's images towards their new embeddings, in place: `row = m row + (1 - m) embedding`,
 * L2-normalised.
 *
 * @param bank `[images, D]`
 * @param indices int64 `[B]`, each image once
 * @param embeddings `[B, D]`
 * @param momentum m, the share of the old row
 */
export function updateBank(bank: Tensor, indices: Tensor, embeddings: Tensor, momentum: number): void {
  noGrad(() => {
    scope(() => {
      const mixed = bank
        .indexSelect(0, indices)
        .mul(momentum)
        .add(embeddings.mul(1 - momentum));
      bank.indexCopy_(0, indices, mixed.div(mixed.norm(2, [1], true).clampMin(1e-12)));
    });
  });
}

function assertMemory(
  embeddings: readonly Tensor[],
  banks: readonly Tensor[],
  { positives, negatives }: ContrastSamples,
): void {
  const refuse = (expected: string, got: string): never => {
    throw new LossError('memoryContrast', expected, got);
  };
  if (embeddings.length < 2) {
    refuse('two or more networks are needed to teach each other', `${embeddings.length}`);
  }
  if (banks.length !== embeddings.length) {
    refuse(`expected one bank per network, ${embeddings.length}`, `${banks.length}`);
  }
  const [batch = 0, width = 0] = embeddings[0]?.shape ?? [];
  const oddEmbedding = embeddings.find(({ shape }) => shape.join() !== [batch, width].join());
  if (oddEmbedding !== undefined) refuse(`embeddings must all be [${batch}, ${width}]`, String(oddEmbedding));
  const oddBank = banks.find(({ shape }) => shape.length !== 2 || shape[1] !== width);
  if (oddBank !== undefined) refuse(`banks must be [images, ${width}]`, String(oddBank));
  for (const [name, { shape }] of Object.entries({ positives, negatives })) {
    if (shape.length !== 2 || shape[0] !== batch || (shape[1] ?? 0) < 1) {
      refuse(`${name} must have a row for each of ${batch} anchors`, `[${shape.join(', ')}]`);
    }
  }
}
