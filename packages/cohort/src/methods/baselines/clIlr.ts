/**
 * Collaborative learning with intermediate-level representation sharing (CL-ILR, Song and Chai 2018, arXiv 1805.11761):
 * heads on a shared trunk learn from the labels and from the mean of the others' logits, `L = sum_i b CE_i + (1 - b) T^2
 * KL(softmax(mean_{j != i} z_j / T) || softmax(z_i / T))`. What they share is a tree, and at each split its gradient is divided
 * by the number of ways, so that it stays the size that one head would give (backpropagation rescaling, section 3).
 *
 * Public implementations differ (none is the authors'): MCL-OKD's has these defaults, half for labels and T 2, on a
 * tree of four that splits after the first and the second stage and halves the gradient at each. OKDDip's has one split
 * (topology branches), counts labels and others 1 each, softens by 3, lets gradients into the targets, lets them in over
 * 80 epochs, and divides only where asked to. The paper writes the soft part as a cross-entropy: the same gradient.
 */
import * as z from 'zod';
import {
  classification,
  type Classification,
  meansOfOthers,
  pairedDistillation,
  rampUp,
} from '../../losses/index.ts';
import type { NetworkOutput, Trunk } from '../../models/index.ts';
import { Peers, rowsOf, Tree, type Topology } from '../../topology/index.ts';
import type { Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { logitsOf } from '../parts/outputs.ts';
import { defineMethod } from '../definition.ts';
import { rampUpEpochs, softening } from '../parts/settings.ts';

/** Collaborative learning with intermediate-level representation sharing (arXiv 1805.11761). */
const clIlrSettings = z.strictObject({
  name: z.literal('cl-ilr'),
  /** Share of the labels in the loss (the paper's beta); what the others say has the rest. */
  labelShare: z.number().min(0).max(1).default(0.5),
  ...softening(2),
  rampUpEpochs: rampUpEpochs(0),
  /** Divides the gradient of shared layers at each split by the number of ways; changes nothing where nothing is shared. */
  rescaleGradient: z.boolean().default(true),
});

/** Resolved settings. */
export type ClIlrSettings = z.output<typeof clIlrSettings>;

/** Networks that learn from the others' consensus, with the gradient of shared layers divided at each split. */
export class CollaborativeLearning implements Method {
  readonly modules = {};
  readonly #topology: Topology;
  readonly #settings: ClIlrSettings;
  readonly #classification: Classification;

  constructor(context: MethodContext, settings: ClIlrSettings) {
    this.#classification = context.classification ?? classification;
    this.#topology = context.topology ?? new Peers(context.networks);
    this.#settings = settings;
  }

  terms(step: StepInput): StepTerms {
    const { labelShare, distillationTemperature, rampUpEpochs } = this.#settings;
    const logits = logitsOf(this.#run(step));
    return {
      losses: {
        classification: { value: this.#classification(logits, step.labels, step.mix), weight: labelShare },
        distillation: {
          value: pairedDistillation(logits, meansOfOthers(logits), distillationTemperature),
          weight: (1 - labelShare) * rampUp(step.epoch, rampUpEpochs),
        },
      },
    };
  }

  #run(step: StepInput): NetworkOutput[] {
    const topology = this.#topology;
    if (!(topology instanceof Tree) || !this.#settings.rescaleGradient) return topology.run(step);
    return topology.runFrom(topology.trunks(step), rowsOf(step), rescaled);
  }
}

/** The same values, which pass on a share of the gradient: one of as many as there are ways. */
function rescaled(trunk: Trunk, ways: number): Trunk {
  const passing = trunk.features.mul(1 / ways);
  return { ...trunk, features: passing.add(trunk.features.sub(passing).detach()) };
}

/** The method, for the registry. */
export const clIlr = defineMethod({
  settings: clIlrSettings,
  title: 'collaborative learning with intermediate-level representation sharing',
  paper: 'Song and Chai 2018, arXiv 1805.11761',
  equation: 'b CE_i + (1 - b) KL(p(mean_j z_j) || p_i)',
  topologies: ['tree', 'branches', 'peers'],
  minimumNetworks: 2,
  training: 'nothing',
  deployed: 'every network',
  runsTrunks: true,
  crossing: () => ['logits'],
  create: (context, settings) => new CollaborativeLearning(context, settings),
});
