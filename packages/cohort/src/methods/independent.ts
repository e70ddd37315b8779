/** The baseline: every network learns from the labels alone, as if the others were not there. */
import { classification } from '../losses/index.ts';
import type { LossTerm, Method, MethodContext, StepInput } from './method.ts';

/** Cross-entropy of every network; nothing passes between them. */
export class Independent implements Method {
  readonly modules = {};
  readonly #networks: MethodContext['networks'];

  constructor(context: MethodContext) {
    this.#networks = context.networks;
  }

  terms({ images, labels }: StepInput): Record<string, LossTerm> {
    const logits = this.#networks.map((network) => network.call(images).logits);
    return { classification: { value: classification(logits, labels), weight: 1 } };
  }
}
