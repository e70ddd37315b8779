/**
 * Momentum contrast at work on a cohort (MoCo v1 and v2, arXiv 1911.05722 and 2003.04297), by itself or with the mutual terms
 * between networks (arXiv 2104.12565): `moco` and `moco-mcl`.
 *
 * Order of a step, as published: queries, key encoders move, keys, losses with the queues as they were, the optimizer's step,
 * and then the keys enter the queues.
 */
import { autocast, type nn } from '@cohort-ml/torch';
import * as z from 'zod';
import { momentumContrast, queueContrast, rampUp, type ContrastTerms } from '../../losses/index.ts';
import { imagesOf, Peers, type Topology } from '../../topology/index.ts';
import type { ContrastSpace, LossTerm, Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { embeddingsOf } from '../parts/outputs.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { headKind, ProjectionHeads } from '../parts/projectionHead.ts';
import { describeUninformative } from './collapse.ts';
import { SelfSupervisionError } from './errors.ts';
import { KeyEncoders, LatestKeys } from './keyEncoders.ts';
import { describeLongQueue, KeyQueues, queueLength } from './keyQueue.ts';
import type { MutualSettings } from './mutualSettings.ts';
import { positive } from '../../support/numberSchemas.ts';
import { otherViewOf } from './otherView.ts';

/** What `moco` and `moco-mcl` have in common; defaults are those of MoCo v1. */
export const momentumSettings = {
  /** Earlier keys that a query is contrasted with; a multiple of train.batchSize. null: at most a quarter of the images. */
  queue: z.int().min(2).max(4_194_304).nullable().default(null),
  /** Share of the old key encoder that a step keeps (m); 0.99 suits short trainings on small sets. */
  keyMomentum: z.number().min(0).lt(1).default(0.999),
  /** Divides the similarities (tau); MoCo v2 has 0.2. */
  temperature: positive.default(0.07),
  /** Length of the embedding that the heads produce. */
  embeddingSize: z.int().min(1).max(4096).default(128),
  /** linear as in MoCo v1, mlp as in v2. */
  head: headKind.default('linear'),
};

/** Settings of either method; `mutual` is null without terms between networks. */
export interface MomentumContrastSettings {
  readonly queue: number | null;
  readonly keyMomentum: number;
  readonly temperature: number;
  readonly embeddingSize: number;
  readonly head: z.output<typeof headKind>;
  readonly mutual: MutualSettings | null;
}

/** Queries, key encoders and queues of a cohort. */
export class MomentumContrast implements Method {
  readonly modules: {
    readonly heads: ProjectionHeads;
    readonly keys: KeyEncoders;
    readonly queues: KeyQueues;
  };
  readonly notice: string | null;
  readonly #topology: Topology;
  readonly #settings: MomentumContrastSettings;
  readonly #queueLength: number;
  readonly #latest = new LatestKeys();

  /** @throws {SelfSupervisionError} for a queue that does not fit the images, or a context without what keys need */
  constructor(context: MethodContext, settings: MomentumContrastSettings) {
    const { networks, trainingLabels, batchSize, freshNetworks, generator } = context;
    if (trainingLabels === undefined || batchSize === undefined || freshNetworks === undefined) {
      throw new SelfSupervisionError(
        'Momentum contrast: expected a context with trainingLabels, batchSize and freshNetworks, got one without. Pass them to createMethod.',
      );
    }
    const { embeddingSize, head } = settings;
    this.#settings = settings;
    this.#topology = context.topology ?? new Peers(networks);
    this.#queueLength = queueLength({ wanted: settings.queue, batchSize, images: trainingLabels.length });
    const widths = networks.map((network) => network.embeddingSize);
    const heads = new ProjectionHeads(head, widths, embeddingSize, generator);
    const own = {
      networks: freshNetworks(),
      heads: new ProjectionHeads(head, widths, embeddingSize, generator),
    };
    this.modules = {
      heads,
      keys: new KeyEncoders(own, { networks, heads }, this.#topology),
      queues: new KeyQueues(networks.length, this.#queueLength, embeddingSize, generator),
    };
    this.notice = describeLongQueue(this.#queueLength, trainingLabels.length);
  }

  /** Heads are on every rank and follow heads that are; networks are where those that they follow are. */
  get ofNetworks(): readonly (readonly nn.AnyModule[])[] {
    return this.modules.keys.networks.map((network) => [network]);
  }

  terms(step: StepInput): StepTerms {
    const other = otherViewOf(step);
    const features = embeddingsOf(this.#topology.run(step));
    const { heads, keys, queues } = this.modules;
    keys.follow(this.#settings.keyMomentum);
    const encoded = keys.call(imagesOf(other)).map(inFullPrecision);
    this.#latest.set(encoded);
    const losses = autocast(
      () => this.#losses({ queries: heads.call(features), keys: encoded, queues: queues.queues }, step.epoch),
      false,
    );
    return { losses };
  }

  afterStep(): undefined {
    this.modules.queues.enqueue(this.#latest.get());
    this.#latest.forget();
  }

  get contrastSpace(): ContrastSpace {
    return {
      temperature: this.#settings.temperature,
      project: (embeddings) => this.modules.heads.call(embeddings.map(inFullPrecision)),
    };
  }

  diagnose(means: Readonly<Record<string, number>>): string | undefined {
    const networks = this.modules.queues.queues.length;
    return describeUninformative((means.vcl ?? 0) / networks, this.#queueLength + 1);
  }

  #losses(input: Parameters<typeof queueContrast>[0], epoch: number): Record<string, LossTerm> {
    const { temperature, mutual } = this.#settings;
    if (mutual === null) return { vcl: { value: momentumContrast(input, temperature), weight: 1 } };
    const { distillationTemperature } = mutual;
    return weighted(queueContrast(input, { temperature, distillationTemperature }), mutual, epoch);
  }
}

/** The four terms with their weights at this point of the training. */
export function weighted(
  { vcl, icl, softVcl, softIcl }: ContrastTerms,
  { weights, rampUpEpochs }: MutualSettings,
  epoch: number,
): Record<string, LossTerm> {
  const soft = rampUp(epoch, rampUpEpochs);
  return {
    vcl: { value: vcl, weight: weights.vcl },
    icl: { value: icl, weight: weights.icl },
    softVcl: { value: softVcl, weight: weights.softVcl * soft },
    softIcl: { value: softIcl, weight: weights.softIcl * soft },
  };
}
