/** The baseline: every network learns from the labels alone, as if the others were not there. */
import { classification, type Classification } from '../../losses/index.ts';
import { Peers, type Topology } from '../../topology/index.ts';
import { viewsOf, type LossTerm, type Method, type MethodContext, type StepInput } from '../method.ts';

/** Cross-entropy of every network; nothing passes between them. */
export class Independent implements Method {
  readonly modules = {};
  readonly #topology: Topology;
  readonly #classification: Classification;

  constructor(context: MethodContext) {
    this.#classification = context.classification ?? classification;
    this.#topology = context.topology ?? new Peers(context.networks);
  }

  terms(step: StepInput): Record<string, LossTerm> {
    const logits = this.#topology.run(viewsOf(step)).map((output) => output.logits);
    return { classification: { value: this.#classification(logits, step.labels, step.mix), weight: 1 } };
  }
}
