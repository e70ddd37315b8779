/** What a run's networks and their ensemble say of images, as one module, which the engine can repeat in a single call. */
import { nn, ops, type Tensor } from '@cohort-ml/torch';
import { classProbabilities, type Ensemble } from '../evaluate/accuracy.ts';
import type { Network } from '../models/index.ts';

/** Networks in evaluation, which stay their owner's. */
export class CohortClassifier extends nn.Module {
  // Private, so that they are no children, which would be released with this.
  readonly #networks: readonly Network[];
  readonly #ensemble: Ensemble | undefined;

  /** @param ensemble where it is not the mean of the networks' probabilities */
  constructor(networks: readonly Network[], ensemble?: Ensemble) {
    super();
    this.#networks = networks;
    this.#ensemble = ensemble;
    this.eval();
  }

  /** Images `[B, C, H, W]` to probabilities `[B, networks + 1, classes]`, the ensemble's last. */
  override forward(images: Tensor): Tensor {
    return ops.stack(classProbabilities(this.#networks, images, this.#ensemble), 1);
  }
}
