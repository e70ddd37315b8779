/**
 * Matching network (Yang et al., arXiv 2207.11518): a meta-network that says, for every sample, how much each stage of one
 * network should learn from each stage of another.
 */
import { nn, ops, type Generator, type Tensor } from '@cohort-ml/torch';
import { normalised } from '../parts/embeddingHead.ts';
import { at } from '../../support/at.ts';

/** Width of the space in which stages are compared. */
const matchingSize = 128;

/** Weights `sigmoid(cos(g_a(f_a), g_c(f_c)))` between all stages of all networks, with one linear map `g` a stage. */
export class MatchingNetwork extends nn.Module<readonly Tensor[]> {
  readonly layers: readonly nn.Linear[];

  /** @param widths of the embeddings of every stage: network by network, stage by stage */
  constructor(widths: readonly number[], generator: Generator) {
    super();
    this.layers = widths.map((width) => new nn.Linear(width, matchingSize, generator));
  }

  /**
   * @param features one `[B, width]` per stage, in the order of the widths
   * @returns `[B, E, E]` between 0 and 1, symmetric
   */
  override forward(features: readonly Tensor[]): Tensor {
    if (features.length !== this.layers.length) {
      throw new RangeError(
        `MatchingNetwork: expected ${this.layers.length} features, got ${features.length}.`,
      );
    }
    const projected = features.map((feature, place) =>
      at(this.layers, place, 'the layers of the stages').call(feature),
    );
    const directions = normalised(ops.stack(projected, 1)); // [B, E, 128]
    return directions.bmm(directions.transpose(1, 2)).sigmoid();
  }
}

/** What a matching network gives where directions have nothing to do with each other: sigmoid(0). */
const uniformWeight = 0.5;

/**
 * The same weight for every pair of stages, to compare with: on the scale of the matching network's own, so that only the
 * matching differs.
 *
 * @param features one `[B, width]` per stage
 * @returns `[B, E, E]`
 */
export function uniformMatching(features: readonly Tensor[]): Tensor {
  const count = features.length;
  return ops.full([at(at(features, 0, 'the features').shape, 0), count, count], uniformWeight);
}
