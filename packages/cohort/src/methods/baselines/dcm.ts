/**
 * Dense Cross-layer Mutual distillation (DCM, Yao and Sun 2020, arXiv 2008.07816): auxiliary classifiers on the earlier
 * stages of every network, built of the same blocks as what follows there; all classifiers learn from the labels, and each
 * from all those of the other networks: `L = sum_{a, k} CE_ak + sum_{a != c} sum_{k, z} T^2 KL(p_cz || p_ak)`.
 *
 * Public implementations differ: the authors', for two networks, counts every term 1, as here. Its classifiers are
 * designed for each architecture (in WRN the first has half of the blocks in its last group, the second twice the width
 * there); here they are the refinement branches that L-MCL has, one per stage, as deep as the network or one block a
 * stage (`refinement`). With more than two networks the distillation is averaged over the others, as in DML.
 */
import type { nn } from '@cohort-ml/torch';
import * as z from 'zod';
import { classification, type Classification, crossStageDistillation, rampUp } from '../../losses/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import { CohortBranches } from '../parts/refinement.ts';
import type { Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { inFullPrecision } from '../parts/precision.ts';
import { defineMethod } from '../definition.ts';
import { lossWeight, rampUpEpochs, refinementDepth, softening } from '../parts/settings.ts';

/** Dense cross-layer mutual distillation (arXiv 2008.07816). */
const dcmSettings = z.strictObject({
  name: z.literal('dcm'),
  weights: z
    .strictObject({
      /** Of distillation between classifiers of the same stage, counted from the last. */
      sameStage: lossWeight.default(1),
      /** Of distillation between classifiers of different stages. */
      crossStage: lossWeight.default(1),
    })
    .prefault({}),
  ...softening(1),
  rampUpEpochs: rampUpEpochs(0),
  /** Depth of the auxiliary classifiers: as the network, one block a stage, or `short` for networks for large images. */
  refinement: refinementDepth,
});

/** Resolved settings. */
export type DcmSettings = z.output<typeof dcmSettings>;

/** Networks whose classifiers at all depths teach each other. */
export class DenseCrossLayerDistillation implements Method {
  readonly modules: { readonly branches: CohortBranches };
  readonly #topology: Topology;
  readonly #settings: DcmSettings;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: DcmSettings) {
    this.#classification = context.classification ?? classification;
    const { networks, generator } = context;
    this.#topology = context.topology ?? new Peers(networks);
    this.#settings = settings;
    this.modules = { branches: new CohortBranches(networks, generator, settings.refinement) };
  }

  get ofNetworks(): readonly (readonly nn.AnyModule[])[] {
    return this.modules.branches.networks.map((branches) => [branches]);
  }

  get refining(): readonly nn.AnyModule[] {
    return [this.modules.branches];
  }

  terms(step: StepInput): StepTerms {
    const { weights, distillationTemperature, rampUpEpochs } = this.#settings;
    const logits = this.#topology
      .runRefined(step, (outputs, places) => this.modules.branches.refine(outputs, places))
      .map((output) => output.logits.map(inFullPrecision));
    const distillation = crossStageDistillation(logits, distillationTemperature);
    const growth = rampUp(step.epoch, rampUpEpochs);
    return {
      losses: {
        classification: { value: this.#classification(logits.flat(), step.labels, step.mix), weight: 1 },
        sameStage: { value: distillation.sameStage, weight: weights.sameStage * growth },
        crossStage: { value: distillation.crossStage, weight: weights.crossStage * growth },
      },
    };
  }
}

/** The method, for the registry. */
export const dcm = defineMethod({
  settings: dcmSettings,
  title: 'dense cross-layer mutual distillation',
  paper: 'Yao and Sun 2020, arXiv 2008.07816',
  equation: 'CE of all classifiers + KL(p_jz || p_ik) of all stages k and z',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 2,
  training: 'auxiliary classifiers: refinement branches',
  deployed: 'every network',
  crossing: () => ['logits'],
  create: (context, settings) => new DenseCrossLayerDistillation(context, settings),
});
