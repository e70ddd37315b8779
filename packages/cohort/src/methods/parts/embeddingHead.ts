/** Embedding head: linear, ReLU, linear, L2 normalise; projects a network's features into the space of contrast. */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';

/** Keeps the division defined for a vector of zeros. */
const normEpsilon = 1e-12;

/** Vectors along the last dimension, each divided by its L2 norm. */
export function normalised(vectors: Tensor): Tensor {
  return vectors.div(vectors.norm(2, [-1], true).clampMin(normEpsilon));
}

/** `[B, inFeatures] -> [B, embeddingSize]`, every row of length 1 (arXiv 2104.12565, section 3.1). */
export class EmbeddingHead extends nn.Module {
  readonly fc1: nn.Linear;
  readonly fc2: nn.Linear;

  constructor(inFeatures: number, embeddingSize: number, generator: Generator) {
    super();
    this.fc1 = new nn.Linear(inFeatures, embeddingSize, generator);
    this.fc2 = new nn.Linear(embeddingSize, embeddingSize, generator);
  }

  override forward(features: Tensor): Tensor {
    return normalised(this.fc2.call(this.fc1.call(features).relu_()));
  }
}

/** The heads of a cohort, one per network, for embeddings of any widths. */
export class EmbeddingHeads extends nn.Module<readonly Tensor[], Tensor[]> {
  readonly heads: readonly EmbeddingHead[];

  constructor(embeddingSizes: readonly number[], embeddingSize: number, generator: Generator) {
    super();
    this.heads = embeddingSizes.map((size) => new EmbeddingHead(size, embeddingSize, generator));
  }

  /** Embeddings of every network, in the same order. */
  override forward(features: readonly Tensor[]): Tensor[] {
    return this.heads.map((head, index) => {
      const feature = features[index];
      if (feature === undefined)
        throw new RangeError(
          `EmbeddingHeads: expected ${this.heads.length} features, got ${features.length}`,
        );
      return head.call(feature);
    });
  }
}
