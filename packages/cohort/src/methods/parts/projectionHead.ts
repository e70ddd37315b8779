/** Projection heads of self-supervised methods: one linear layer as in MoCo v1, or two with ReLU as in MoCo v2 and SimCLR. */
import { nn, type Generator, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import { at } from '../../support/at.ts';
import { normalised } from './embeddingHead.ts';

/** `linear` is one layer; `mlp` puts another of the features' own width, and ReLU, before it. */
export const headKind = z.enum(['linear', 'mlp']);

/** Kind of a head. */
export type HeadKind = z.output<typeof headKind>;

/** `[B, inFeatures] -> [B, embeddingSize]`, every row of length 1. */
class ProjectionHead extends nn.Module {
  readonly layers: readonly nn.Linear[];

  constructor(kind: HeadKind, inFeatures: number, embeddingSize: number, generator: Generator) {
    super();
    const hidden = kind === 'mlp' ? [new nn.Linear(inFeatures, inFeatures, generator)] : [];
    this.layers = [...hidden, new nn.Linear(inFeatures, embeddingSize, generator)];
  }

  override forward(features: Tensor): Tensor {
    const last = this.layers.length - 1;
    const projected = this.layers.reduce(
      (current, layer, index) => (index < last ? layer.call(current).relu_() : layer.call(current)),
      features,
    );
    return normalised(projected);
  }
}

/** The heads of a cohort, one per network, for features of any widths. */
export class ProjectionHeads extends nn.Module<readonly Tensor[], Tensor[]> {
  readonly heads: readonly ProjectionHead[];

  /**
   * @param widths of the networks' features
   * @param embeddingSize width of what the heads give
   */
  constructor(kind: HeadKind, widths: readonly number[], embeddingSize: number, generator: Generator) {
    super();
    this.heads = widths.map((width) => new ProjectionHead(kind, width, embeddingSize, generator));
  }

  /** Of every network's features `[B, width]`, in the same order. */
  override forward(features: readonly Tensor[]): Tensor[] {
    return this.heads.map((head, index) => head.call(at(features, index, 'the features of the networks')));
  }
}
