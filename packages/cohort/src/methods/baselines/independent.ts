/** The baseline: every network learns from the labels alone, as if the others were not there. */
import * as z from 'zod';
import { classification, type Classification } from '../../losses/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import type { Method, MethodContext, StepInput, StepTerms } from '../method.ts';
import { defineMethod } from '../definition.ts';

/** Networks learn from the labels alone: what every other method is compared with. */
const independentSettings = z.strictObject({
  name: z.literal('independent'),
});

/** Cross-entropy of every network; nothing passes between them. */
export class Independent implements Method {
  readonly modules = {};
  readonly #topology: Topology;
  readonly #classification: Classification;

  constructor(context: MethodContext) {
    this.#classification = context.classification ?? classification;
    this.#topology = context.topology ?? new Peers(context.networks);
  }

  terms(step: StepInput): StepTerms {
    const logits = this.#topology.run(step).map((output) => output.logits);
    return {
      losses: { classification: { value: this.#classification(logits, step.labels, step.mix), weight: 1 } },
    };
  }
}

/** The method, for the registry. */
export const independent = defineMethod({
  settings: independentSettings,
  title: 'independent networks',
  paper: 'the baseline',
  equation: 'CE_i',
  topologies: ['peers', 'branches', 'tree'],
  minimumNetworks: 1,
  training: 'nothing',
  deployed: 'every network',
  crossing: () => [],
  create: (context) => new Independent(context),
});
