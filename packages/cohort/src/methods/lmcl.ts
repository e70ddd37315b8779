/**
 * Layer-wise Mutual Contrastive Learning (Yang et al., arXiv 2207.11518): refinement branches give every stage an
 * embedding and logits; every stage learns from every stage of the other networks, as much as the matching network says,
 * and every network's logits from the aggregated ones.
 */
import { autocast, noGrad, type Tensor } from '@cohort/torch';
import {
  classification,
  layerwiseContrast,
  rampUp,
  targetDistillation,
  termsCounted,
  weightsAcross,
} from '../losses/index.ts';
import { CohortBranches, type StageOutputs } from '../models/refinement.ts';
import { Aggregators } from './aggregator.ts';
import { describeCollapse } from './collapse.ts';
import { EmbeddingHeads } from './embeddingHead.ts';
import { MatchingNetwork } from './matching.ts';
import type { LossTerm, Method, MethodContext, StepInput } from './method.ts';
import { inFullPrecision } from './precision.ts';
import type { LmclSettings } from './settings.ts';

/** Layer-wise MCL with the batch as contrast samples. The matching network gets no gradient from the loss terms. */
export class LayerwiseMutualContrastiveLearning implements Method {
  readonly modules: {
    readonly branches: CohortBranches;
    readonly heads: EmbeddingHeads;
    readonly matching: MatchingNetwork;
    readonly aggregators: Aggregators;
  };
  readonly #networks: MethodContext['networks'];
  readonly #settings: LmclSettings;
  readonly #stagesPerNetwork: readonly number[];

  constructor(context: MethodContext, settings: LmclSettings) {
    const { networks, generator } = context;
    this.#networks = networks;
    this.#settings = settings;
    this.#stagesPerNetwork = networks.map(({ stageModules }) => stageModules.length);
    const widths = networks.map(({ stageModules, embeddingSize }) => stageModules.map(() => embeddingSize));
    this.modules = {
      branches: new CohortBranches(networks, generator),
      heads: new EmbeddingHeads(widths.flat(), settings.embeddingSize, generator),
      matching: new MatchingNetwork(widths.flat(), generator),
      aggregators: new Aggregators(widths, generator),
    };
  }

  terms({ images, labels, epoch }: StepInput): Record<string, LossTerm> {
    const { weights, temperature, distillationTemperature, rampUpEpochs } = this.#settings;
    const outputs = this.modules.branches
      .call(this.#networks.map((network) => network.callWithStages(images)))
      .map(({ embeddings, logits }) => ({
        embeddings: embeddings.map(inFullPrecision),
        logits: logits.map(inFullPrecision),
      }));
    const features = outputs.flatMap(({ embeddings }) => embeddings);
    const { aggregated, contrast, matchWeight } = autocast(() => {
      const matchWeights = noGrad(() => this.modules.matching.call(features)); // [B, E, E]
      const embeddings = byNetwork(this.modules.heads.call(features), outputs);
      const options = { temperature, distillationTemperature };
      return {
        aggregated: this.modules.aggregators.call(outputs),
        contrast: layerwiseContrast(embeddings, labels, matchWeights, options),
        matchWeight: weightsAcross(matchWeights, this.#stagesPerNetwork).mean(),
      };
    }, false);
    const everyLogits = [...outputs.flatMap(({ logits }) => logits), ...aggregated];
    const ownLogits = outputs.flatMap(({ logits }) => logits.slice(-1));
    const soft = rampUp(epoch, rampUpEpochs);
    return {
      classification: { value: classification(everyLogits, labels), weight: 1 },
      vcl: { value: contrast.vcl, weight: weights.vcl },
      icl: { value: contrast.icl, weight: weights.icl },
      softVcl: { value: contrast.softVcl, weight: weights.softVcl * soft },
      softIcl: { value: contrast.softIcl, weight: weights.softIcl * soft },
      logit: {
        value: targetDistillation(ownLogits, aggregated, distillationTemperature),
        weight: weights.logit * soft,
      },
      // Not a loss: shown beside the terms, so that one sees what the matching network thinks.
      matchWeight: { value: matchWeight, weight: 0 },
    };
  }

  diagnose(means: Readonly<Record<string, number>>, batchSize: number): string | undefined {
    const { vcl = 0, matchWeight = 0 } = means;
    return describeCollapse(vcl / (matchWeight * termsCounted(this.#stagesPerNetwork)), batchSize - 1);
  }
}

/** Cuts a list of one item a stage into one list a network. */
function byNetwork(items: readonly Tensor[], outputs: readonly StageOutputs[]): Tensor[][] {
  let start = 0;
  return outputs.map(({ embeddings }) => items.slice(start, (start += embeddings.length)));
}
