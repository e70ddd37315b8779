/**
 * Networks made ready to go through many images: batch normalisation is folded into convolutions, and a batch is cut into parts
 * that are small enough for the caches, one thread each.
 */
import { nn, type Tensor } from '@cohort-ml/torch';
import type { Network, NetworkOutput } from '../models/index.ts';

/** Folding and noting what a network does take as long as some 100 images of 32x32. */
export const fewestCompiled = 512;

/** Pixels of a part, where maps of usual networks stay in the second-level cache: 16 images of 32x32. */
const partPixels = 16 * 32 * 32;

/** Networks in evaluation; their weights must not change until `dispose`. */
export class CompiledNetworks {
  readonly #folded: readonly Network[];
  readonly #parts: readonly EvaluatedNetwork[];

  /** @param networks some of which may be folded already, and stay so */
  constructor(networks: readonly Network[]) {
    this.#folded = networks.filter((network) => !network.isFolded);
    for (const network of this.#folded) nn.foldBatchNorm(network);
    this.#parts = networks.map((network) => {
      const module = new EvaluatedNetwork(network).eval();
      nn.compile(module, { takesOneThread: true });
      return module;
    });
  }

  /** What each says of images `[B, C, H, W]`, without its stages. Does not depend on the number of threads. */
  run(images: Tensor): NetworkOutput[] {
    const [, , height = 1, width = 1] = images.shape;
    const rows = Math.max(1, Math.round(partPixels / (height * width)));
    return this.#parts.map((network) => network.callRows(images, rows));
  }

  /** Unfolds those that were folded here. */
  dispose(): void {
    for (const module of this.#parts) module.dispose();
    for (const network of this.#folded) nn.unfoldBatchNorm(network);
  }
}

/** What an evaluation asks of a network, so that maps are not joined that nobody looks at. */
class EvaluatedNetwork extends nn.Module<Tensor, NetworkOutput> {
  // Private, so that it is no child, which would be released with this.
  readonly #network: Network;

  constructor(network: Network) {
    super();
    this.#network = network;
  }

  override forward(images: Tensor): NetworkOutput {
    const { logits, embedding } = this.#network.call(images);
    return { logits, embedding, stages: [] };
  }
}
