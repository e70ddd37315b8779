/**
 * Mutual Contrastive Learning at the last layer (Yang et al., arXiv 2104.12565, equation 10): cross-entropy of every
 * network, VCL and ICL on their embeddings, and the contrastive distributions passed on as soft VCL and soft ICL.
 *
 * Public implementations differ: the authors' has these weights and T 3, but divides similarities by 0.07, where the
 * default here is the 0.1 of their program for L-MCL; it gives an anchor in memory one further positive, here two. More
 * than two of its networks share stem and first stage, and only the last learns from the ensemble's logits; an anchor
 * without a positive is a division by zero. docs/method.md has the whole list.
 */
import { autocast } from '@cohort-ml/torch';
import * as z from 'zod';
import {
  classification,
  type Classification,
  dominantLabels,
  logitDistillation,
  mutualContrast,
  rampUp,
} from '../../losses/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import { describeCollapse } from './collapse.ts';
import { EmbeddingHeads } from '../parts/embeddingHead.ts';
import { memorySettings, type MemoryBanks } from './memoryBank.ts';
import type { ContrastSpace, Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { MemoryContrast } from './memoryContrast.ts';
import { defineMethod } from '../definition.ts';
import { contrastSettings, lossWeight } from '../parts/settings.ts';

/**
 * Final-layer mutual contrastive learning (arXiv 2104.12565); defaults are the weights and T of the published program, which
 * has a temperature of 0.07, and one further positive in memory; the 0.1 here is what docs/results.md was measured with.
 */
const mclSettings = z.strictObject({
  name: z.literal('mcl'),
  /** Weights of the four contrastive terms added to the cross-entropy, which always counts 1. */
  weights: z
    .strictObject({
      vcl: lossWeight.default(0.1),
      icl: lossWeight.default(0.1),
      softVcl: lossWeight.default(1),
      softIcl: lossWeight.default(1),
      /** Of the logits' distillation towards the ensemble; 0, the default, leaves it out. */
      logit: lossWeight.default(0),
    })
    .prefault({}),
  ...contrastSettings,
  /** Which networks learn from the ensemble's logits; published are both of two networks, and the last of more. */
  logitStudents: z.enum(['all', 'last']).default('all'),
  /** Contrast with remembered embeddings, for many classes; null, the default, contrasts inside the batch. */
  memory: memorySettings.nullable().default(null),
});

/** Resolved settings. */
export type MclSettings = z.output<typeof mclSettings>;

/** MCL with the batch as contrast samples, or remembered embeddings where `memory` is set. */
export class MutualContrastiveLearning implements Method {
  readonly modules: { readonly heads: EmbeddingHeads; readonly memory?: MemoryBanks };
  readonly #topology: Topology;
  readonly #networkCount: number;
  readonly #settings: MclSettings;
  readonly #memory: MemoryContrast | null;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: MclSettings) {
    this.#classification = context.classification ?? classification;
    this.#topology = context.topology ?? new Peers(context.networks);
    this.#networkCount = context.networks.length;
    this.#settings = settings;
    const widths = context.networks.map((network) => network.embeddingSize);
    const heads = new EmbeddingHeads(widths, settings.embeddingSize, context.generator);
    const { memory, embeddingSize } = settings;
    this.#memory = memory === null ? null : new MemoryContrast(context, memory, embeddingSize);
    this.modules = this.#memory === null ? { heads } : { heads, memory: this.#memory.banks };
  }

  get notice(): string | null {
    return this.#memory?.notice ?? null;
  }

  terms(step: StepInput): StepTerms {
    const { labels, mix, epoch } = step;
    const { weights, temperature, distillationTemperature, rampUpEpochs } = this.#settings;
    const outputs = this.#topology.run(step);
    const logits = outputs.map((output) => inFullPrecision(output.logits));
    const contrast = autocast(() => {
      const embeddings = this.modules.heads.call(outputs.map((output) => inFullPrecision(output.embedding)));
      const options = { temperature, distillationTemperature };
      return this.#memory === null
        ? mutualContrast(embeddings, dominantLabels(labels, mix), options)
        : this.#memory.terms(embeddings, step, options);
    }, false);
    const soft = rampUp(epoch, rampUpEpochs);
    return {
      losses: {
        classification: { value: this.#classification(logits, labels, mix), weight: 1 },
        vcl: { value: contrast.vcl, weight: weights.vcl },
        icl: { value: contrast.icl, weight: weights.icl },
        softVcl: { value: contrast.softVcl, weight: weights.softVcl * soft },
        softIcl: { value: contrast.softIcl, weight: weights.softIcl * soft },
        ...(weights.logit === 0
          ? {}
          : {
              logit: {
                value: logitDistillation(logits, distillationTemperature, this.#settings.logitStudents),
                weight: weights.logit * soft,
              },
            }),
      },
    };
  }

  afterStep(step: StepInput): undefined {
    this.#memory?.afterStep(step);
  }

  get contrastSpace(): ContrastSpace {
    return {
      temperature: this.#settings.temperature,
      project: (embeddings) => this.modules.heads.call(embeddings.map(inFullPrecision)),
    };
  }

  diagnose(means: Readonly<Record<string, number>>, batchSize: number): string | undefined {
    const { memory } = this.#settings;
    const candidates = memory === null ? batchSize - 1 : memory.positives + memory.negatives;
    return describeCollapse((means.vcl ?? 0) / this.#networkCount, candidates);
  }
}

/** The method, for the registry. */
export const mcl = defineMethod({
  settings: mclSettings,
  title: 'mutual contrastive learning',
  paper: 'Yang et al. 2022, arXiv 2104.12565',
  equation:
    'CE_i + VCL + ICL + soft VCL + soft ICL (equation 10); with weights.logit also KL(p(mean_j z_j) || p_i)',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'embedding heads; memory banks where asked for',
  deployed: 'every network',
  contrastsInBatch: true,
  variants: {
    'mcl-logit': {
      title: 'mutual contrastive learning with logit distillation',
      equation: 'CE_i + VCL + ICL + soft VCL + soft ICL + KL(p(mean_j z_j) || p_i)',
      settings: { weights: { logit: 1 } },
    },
  },
  crossing: ({ weights }) => (weights.logit === 0 ? ['embedding'] : ['logits', 'embedding']),
  create: (context, settings) => new MutualContrastiveLearning(context, settings),
});
