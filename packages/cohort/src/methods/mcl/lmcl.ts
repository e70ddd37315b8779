/**
 * Layer-wise Mutual Contrastive Learning (Yang et al., arXiv 2207.11518): refinement branches give every stage an
 * embedding and logits; every stage learns from every stage of the other networks, as much as the matching network says,
 * and every network's logits from the aggregated ones.
 *
 * Public implementations differ: the authors' has these weights, temperatures and meta settings; it counts steps to the
 * next meta step anew in every epoch, and its meta backward leaves a factor out. docs/method.md has the whole list.
 */
import { autocast, noGrad, ops, type nn, type optim, type Tensor } from '@cohort-ml/torch';
import * as z from 'zod';
import {
  classification,
  type Classification,
  dominantLabels,
  layerwiseContrast,
  rampUp,
  targetDistillation,
  termsCounted,
  weightsAcross,
  type ContrastTerms,
} from '../../losses/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import type { StageOutputs } from '../../models/network.ts';
import { CohortBranches } from '../parts/refinement.ts';
import { Aggregators } from './aggregator.ts';
import { describeCollapse } from './collapse.ts';
import { EmbeddingHeads } from '../parts/embeddingHead.ts';
import { MatchingNetwork, uniformMatching } from './matching.ts';
import { MatchingStatistics, matchingStateSchema } from './matchingStatistics.ts';
import { MetaOptimisation, metaSettings, type MetaObjectives, type MetaStepValues } from './metaStep.ts';
import type {
  ContrastSpace,
  LabelledImages,
  Method,
  MethodContext,
  SavedState,
  StepContext,
  StepInput,
  StepTerms,
} from '../method.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { defineMethod } from '../definition.ts';
import { contrastSettings, lossWeight, refinementDepth } from '../parts/settings.ts';
import { at } from '../../support/at.ts';

/** Layer-wise mutual contrastive learning (arXiv 2207.11518); defaults are the published settings. */
const lmclSettings = z.strictObject({
  name: z.literal('l-mcl'),
  /** Weights of the terms added to the cross-entropies of every stage and aggregate, which always count 1. */
  weights: z
    .strictObject({
      vcl: lossWeight.default(0.1),
      icl: lossWeight.default(0.1),
      softVcl: lossWeight.default(1),
      softIcl: lossWeight.default(1),
      /** Of the logits' distillation from the aggregated logits. */
      logit: lossWeight.default(1),
    })
    .prefault({}),
  ...contrastSettings,
  refinement: refinementDepth,
  /** What weights pairs of stages: the matching network, or the same weight for all, for ablations; it then has no meta step. */
  matching: z.enum(['learned', 'uniform']).default('learned'),
  /** How the matching network is trained; null leaves its first weights as they are. Defaults are the published settings. */
  meta: metaSettings.nullable().prefault({}),
});

/** Resolved settings. */
export type LmclSettings = z.output<typeof lmclSettings>;

/** Weights of the four contrastive terms at some epoch. */
type ContrastWeights = Readonly<Record<keyof ContrastTerms, number>>;

/**
 * Layer-wise MCL with the batch as contrast samples. The matching network gets no gradient from the loss terms: the meta
 * step trains it.
 */
export class LayerwiseMutualContrastiveLearning implements Method {
  readonly modules: {
    readonly branches: CohortBranches;
    readonly heads: EmbeddingHeads;
    readonly matching: MatchingNetwork;
    readonly aggregators: Aggregators;
  };
  readonly optimizers: Readonly<Record<string, optim.Optimizer>>;
  readonly #networks: MethodContext['networks'];
  readonly #topology: Topology;
  readonly #settings: LmclSettings;
  readonly #stagesPerNetwork: readonly number[];
  readonly #meta: MetaOptimisation | null;
  readonly #statistics: MatchingStatistics;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: LmclSettings) {
    this.#classification = context.classification ?? classification;
    const { networks, generator } = context;
    this.#networks = networks;
    this.#topology = context.topology ?? new Peers(networks);
    this.#settings = settings;
    this.#stagesPerNetwork = networks.map(({ stageModules }) => stageModules.length);
    this.#statistics = new MatchingStatistics(this.#stagesPerNetwork);
    const widths = networks.map(({ stageModules, embeddingSize }) => stageModules.map(() => embeddingSize));
    this.modules = {
      branches: new CohortBranches(networks, generator, settings.refinement),
      heads: new EmbeddingHeads(widths.flat(), settings.embeddingSize, generator),
      matching: new MatchingNetwork(widths.flat(), generator),
      aggregators: new Aggregators(widths, generator),
    };
    const { meta, matching } = settings;
    this.#meta =
      meta === null || matching === 'uniform' ? null : new MetaOptimisation(this.modules.matching, meta);
    this.optimizers = this.#meta === null ? {} : { matching: this.#meta.optimizer };
  }

  readonly state: SavedState = {
    save: () => ({ ...this.#statistics.state() }),
    restore: (saved) => {
      this.#statistics.restore(matchingStateSchema.parse(saved));
    },
  };

  get ofNetworks(): readonly (readonly nn.AnyModule[])[] {
    const { branches, aggregators } = this.modules;
    return branches.networks.map((own, network) => [
      own,
      at(aggregators.networks, network, 'the aggregators'),
    ]);
  }

  get refining(): readonly nn.AnyModule[] {
    return [this.modules.branches];
  }

  terms(step: StepInput): StepTerms {
    const { labels, mix, epoch } = step;
    const { weights, distillationTemperature } = this.#settings;
    const outputs = this.#stageOutputs(step);
    const { aggregated, contrast, matchWeight } = autocast(() => {
      const matchWeights = noGrad(() => this.#matchWeights(outputs)); // [B, E, E]
      this.#statistics.add(matchWeights);
      return {
        aggregated: this.#topology.ofEach(outputs, (output, network) =>
          this.modules.aggregators.aggregate(output, network),
        ),
        contrast: this.#contrast(outputs, step, matchWeights),
        matchWeight: weightsAcross(matchWeights, this.#stagesPerNetwork).mean(),
      };
    }, false);
    const everyLogits = [...outputs.flatMap(({ logits }) => logits), ...aggregated];
    const ownLogits = outputs.flatMap(({ logits }) => logits.slice(-1));
    const contrastWeights = this.#contrastWeights(epoch);
    return {
      losses: {
        classification: { value: this.#classification(everyLogits, labels, mix), weight: 1 },
        vcl: { value: contrast.vcl, weight: contrastWeights.vcl },
        icl: { value: contrast.icl, weight: contrastWeights.icl },
        softVcl: { value: contrast.softVcl, weight: contrastWeights.softVcl },
        softIcl: { value: contrast.softIcl, weight: contrastWeights.softIcl },
        logit: {
          value: ops
            .stack(
              this.#topology.parts(ownLogits, (own) =>
                targetDistillation([own], aggregated, distillationTemperature),
              ),
              0,
            )
            .sum(),
          weight: weights.logit * rampUp(epoch, this.#settings.rampUpEpochs),
        },
      },
      measured: { matchWeight },
    };
  }

  wantsOtherBatch(step: number): boolean {
    return this.#settings.meta?.outerBatch === 'other' && this.#meta?.isDue(step) === true;
  }

  runsNetworksAfter(step: number): boolean {
    return this.#meta?.isDue(step) === true;
  }

  afterStep(input: StepInput, context: StepContext): MetaStepValues | undefined {
    const { meta } = this.#settings;
    if (meta === null || this.#meta?.isDue(context.step) !== true) return undefined;
    const outer = meta.outerBatch === 'same' ? input : context.otherBatch();
    const precision = meta.precision === 'training' ? context.precision : 'float32';
    return this.#meta.step(this.#objectives(input, outer, precision), context.learningRate);
  }

  epochMetrics(): Record<string, number> {
    return this.#statistics.take();
  }

  /** That of the last stages, which are the networks' own embeddings. */
  get contrastSpace(): ContrastSpace {
    return {
      temperature: this.#settings.temperature,
      project: (embeddings) =>
        embeddings.map((embedding, network) => {
          const stages = this.#stagesPerNetwork.slice(0, network + 1).reduce((sum, count) => sum + count, 0);
          const head = at(this.modules.heads.heads, stages - 1, 'the heads of the stages');
          return head.call(inFullPrecision(embedding));
        }),
    };
  }

  diagnose(means: Readonly<Record<string, number>>, batchSize: number): string | undefined {
    const { vcl = 0, matchWeight = 0 } = means;
    return describeCollapse(vcl / (matchWeight * termsCounted(this.#stagesPerNetwork)), batchSize - 1);
  }

  #matchWeights(outputs: readonly StageOutputs[]): Tensor {
    const features = featuresOf(outputs);
    return this.#settings.matching === 'uniform'
      ? uniformMatching(features)
      : this.modules.matching.call(features);
  }

  /** Embeddings and logits of every stage of every network. */
  #stageOutputs(batch: LabelledImages): StageOutputs[] {
    return this.#topology.runRefined(batch, (outputs, places) =>
      this.modules.branches.refine(outputs, places).map(({ embeddings, logits }) => ({
        embeddings: embeddings.map(inFullPrecision),
        logits: logits.map(inFullPrecision),
      })),
    );
  }

  #contrast(
    outputs: readonly StageOutputs[],
    { labels, mix }: LabelledImages,
    matchWeights: Tensor,
  ): ContrastTerms {
    const { temperature, distillationTemperature } = this.#settings;
    const embeddings = byNetwork(this.modules.heads.call(featuresOf(outputs)), outputs);
    const classes = dominantLabels(labels, mix);
    return layerwiseContrast(embeddings, classes, matchWeights, { temperature, distillationTemperature });
  }

  #contrastWeights(epoch: number): ContrastWeights {
    const { weights, rampUpEpochs } = this.#settings;
    const soft = rampUp(epoch, rampUpEpochs);
    return { ...weights, softVcl: weights.softVcl * soft, softIcl: weights.softIcl * soft };
  }

  /** The published losses of the meta step: contrast alone inside, the stages' cross-entropies outside. */
  #objectives(
    input: StepInput,
    outer: LabelledImages,
    precision: StepContext['precision'] = 'float32',
  ): MetaObjectives {
    const weights = this.#contrastWeights(input.epoch);
    const { branches, heads, matching } = this.modules;
    const modules: nn.AnyModule[] = [...this.#networks, branches, heads];
    const parameters = modules.flatMap((module) => module.parameters());
    const trained = new Set<Tensor>(parameters);
    return {
      parameters,
      buffers: modules.flatMap((module) =>
        [...module.stateDict().values()].filter((tensor) => !trained.has(tensor)),
      ),
      inner: () => {
        const outputs = autocast(() => this.#stageOutputs(input), precision === 'bfloat16');
        const contrast = this.#contrast(outputs, input, matching.call(featuresOf(outputs)));
        return contrast.vcl
          .mul(weights.vcl)
          .add(contrast.icl.mul(weights.icl))
          .add(contrast.softVcl.mul(weights.softVcl))
          .add(contrast.softIcl.mul(weights.softIcl));
      },
      outer: () =>
        this.#classification(
          autocast(() => this.#stageOutputs(outer), precision === 'bfloat16').flatMap(({ logits }) => logits),
          outer.labels,
          outer.mix,
        ),
    };
  }
}

/** Embeddings of all stages in one list: network by network, stage by stage. */
function featuresOf(outputs: readonly StageOutputs[]): Tensor[] {
  return outputs.flatMap(({ embeddings }) => embeddings);
}

/** Cuts a list of one item per stage into one list per network. */
function byNetwork(items: readonly Tensor[], outputs: readonly StageOutputs[]): Tensor[][] {
  let start = 0;
  return outputs.map(({ embeddings }) => items.slice(start, (start += embeddings.length)));
}

/** The method, for the registry. */
export const lmcl = defineMethod({
  settings: lmclSettings,
  title: 'layer-wise mutual contrastive learning',
  paper: 'Yang et al. 2023, arXiv 2207.11518',
  equation: 'CE of all stages + weighted layer-wise MCL + KL(p_aggregate || p_i)',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'refinement branches, embedding heads, matching network, aggregators',
  deployed: 'every network',
  contrastsInBatch: true,
  // Stages' logits stay where they are: only the aggregated ones teach others.
  crossing: () => ['embedding'],
  create: (context, settings) => new LayerwiseMutualContrastiveLearning(context, settings),
});
