/**
 * Contrast inside the batch without labels (SimCLR, Chen et al., arXiv 2002.05709), by itself or with the mutual terms between
 * networks: both views of every image make one batch, and the number of the image is its label: `simclr` and `simclr-mcl`.
 */
import { autocast, ops, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import { contrastiveLoss, mutualContrast, similarities } from '../../losses/index.ts';
import { Peers, type CohortBatch, type Topology } from '../../topology/index.ts';
import { at } from '../../support/at.ts';
import { positive } from '../../support/numberSchemas.ts';
import type { ContrastSpace, LossTerm, Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { embeddingsOf } from '../parts/outputs.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { headKind, ProjectionHeads } from '../parts/projectionHead.ts';
import { describeUninformative } from './collapse.ts';
import { weighted } from './momentumContrast.ts';
import type { MutualSettings } from './mutualSettings.ts';
import { otherViewOf } from './otherView.ts';

/** What `simclr` and `simclr-mcl` have in common; defaults are those of SimCLR for ImageNet. */
export const stackedSettings = {
  /** Divides the similarities (tau); SimCLR has 0.1 for ImageNet and 0.5 for CIFAR-10. */
  temperature: positive.default(0.1),
  /** Length of the embedding that the heads produce. */
  embeddingSize: z.int().min(1).max(4096).default(128),
  /** mlp as published, or linear. */
  head: headKind.default('mlp'),
};

/** Settings of either method; `mutual` is null without terms between networks. */
export interface StackedContrastSettings {
  readonly temperature: number;
  readonly embeddingSize: number;
  readonly head: z.output<typeof headKind>;
  readonly mutual: MutualSettings | null;
}

/** Contrast of stacked views. */
export class StackedContrast implements Method {
  readonly modules: { readonly heads: ProjectionHeads };
  readonly #topology: Topology;
  readonly #settings: StackedContrastSettings;

  constructor({ networks, topology, generator }: MethodContext, settings: StackedContrastSettings) {
    const widths = networks.map((network) => network.embeddingSize);
    this.#settings = settings;
    this.#topology = topology ?? new Peers(networks);
    this.modules = { heads: new ProjectionHeads(settings.head, widths, settings.embeddingSize, generator) };
  }

  terms(step: StepInput): StepTerms {
    const features = embeddingsOf(this.#topology.run(stacked(step)));
    const batch = at(step.images.shape, 0);
    const losses = autocast(() => {
      const numbers = ops.arange(batch, { dtype: 'int64' });
      return this.#losses(this.modules.heads.call(features), ops.cat([numbers, numbers], 0), step.epoch);
    }, false);
    return { losses };
  }

  get contrastSpace(): ContrastSpace {
    return {
      temperature: this.#settings.temperature,
      project: (embeddings) => this.modules.heads.call(embeddings.map(inFullPrecision)),
    };
  }

  diagnose(means: Readonly<Record<string, number>>, batchSize: number): string | undefined {
    return describeUninformative((means.vcl ?? 0) / this.modules.heads.heads.length, 2 * batchSize - 1);
  }

  /**
   * @param embeddings one `[2 B, width]` per network, first views and then second ones
   * @param numbers int64 `[2 B]`, of the images
   */
  #losses(embeddings: readonly Tensor[], numbers: Tensor, epoch: number): Record<string, LossTerm> {
    const { temperature, mutual } = this.#settings;
    if (mutual === null) {
      const losses = embeddings.map((each) =>
        contrastiveLoss(similarities([each], temperature), numbers).sum(),
      );
      return { vcl: { value: ops.stack(losses, 0).sum(), weight: 1 } };
    }
    const { distillationTemperature } = mutual;
    return weighted(
      mutualContrast(embeddings, numbers, { temperature, distillationTemperature }),
      mutual,
      epoch,
    );
  }
}

/** Both views of a step in one batch, so that batch normalisation sees them together: `[2 B, C, H, W]`. */
function stacked(step: StepInput): CohortBatch {
  const other = otherViewOf(step);
  const { images, views, separated } = step;
  return {
    images: ops.cat([images, other.images], 0),
    ...(views === undefined
      ? {}
      : { views: views.map((view, network) => ops.cat([view, other.views?.[network] ?? other.images], 0)) }),
    ...(separated === undefined ? {} : { separated }),
  };
}
