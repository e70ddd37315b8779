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
import type { MemoryBanks } from './memoryBank.ts';
import {
  viewsOf,
  type ContrastSpace,
  type LossTerm,
  type Method,
  type MethodContext,
  type StepInput,
} from '../method.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { RememberedContrast } from './rememberedContrast.ts';
import type { MclSettings } from '../settings.ts';

/** MCL with the batch as contrast samples, or remembered embeddings where `memory` is set. */
export class MutualContrastiveLearning implements Method {
  readonly modules: { readonly heads: EmbeddingHeads; readonly memory?: MemoryBanks };
  readonly #topology: Topology;
  readonly #networkCount: number;
  readonly #settings: MclSettings;
  readonly #memory: RememberedContrast | null;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: MclSettings) {
    this.#classification = context.classification ?? classification;
    this.#topology = context.topology ?? new Peers(context.networks);
    this.#networkCount = context.networks.length;
    this.#settings = settings;
    const widths = context.networks.map((network) => network.embeddingSize);
    const heads = new EmbeddingHeads(widths, settings.embeddingSize, context.generator);
    const { memory, embeddingSize } = settings;
    this.#memory = memory === null ? null : new RememberedContrast(context, memory, embeddingSize);
    this.modules = this.#memory === null ? { heads } : { heads, memory: this.#memory.banks };
  }

  get notice(): string | null {
    return this.#memory?.notice ?? null;
  }

  terms(step: StepInput): Record<string, LossTerm> {
    const { labels, mix, epoch } = step;
    const { weights, temperature, distillationTemperature, rampUpEpochs } = this.#settings;
    const outputs = this.#topology.run(viewsOf(step));
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
