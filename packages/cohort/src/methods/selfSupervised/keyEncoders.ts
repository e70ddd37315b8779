/**
 * Key encoders: averages of the networks and their heads that encode the second views (MoCo, arXiv 1911.05722, equation 2).
 *
 * They run in evaluation mode with averaged statistics (EMAN, Cai et al., arXiv 2101.08482): with statistics of the batch a
 * key would carry traces of the other keys in its batch, by which a query finds its own without learning anything of
 * images. MoCo shuffles the batch between graphics cards against that, which does nothing on a single device.
 */
import { keep, nn, noGrad, scope, type Tensor } from '@cohort-ml/torch';
import type { Network } from '../../models/index.ts';
import type { CohortBatch, Topology } from '../../topology/index.ts';
import { AverageCounter, startAverages, updateAverages } from '../parts/average.ts';
import { embeddingsOf } from '../parts/outputs.ts';
import type { ProjectionHeads } from '../parts/projectionHead.ts';
import { SelfSupervisionError } from './errors.ts';
import { at } from '../../support/at.ts';

/** What keys follow. */
export interface QueryEncoders {
  readonly networks: readonly Network[];
  readonly heads: ProjectionHeads;
}

/** A tensor of a key encoder with the one that it follows. */
interface Followed {
  readonly key: Tensor;
  readonly query: Tensor;
}

/** The key encoders of a cohort; saved with the method, but not trained. */
export class KeyEncoders extends nn.Module<CohortBatch, Tensor[]> {
  readonly networks: readonly Network[];
  readonly heads: ProjectionHeads;
  readonly counter = new AverageCounter();
  readonly #topology: Topology;
  readonly #weights: readonly Followed[];
  readonly #statistics: readonly Followed[];
  readonly #counts: readonly Followed[];

  /**
   * @param own networks and heads of the same shapes as those to follow; they start with the same weights
   * @param topology how the networks to follow share layers
   */
  constructor(own: QueryEncoders, followed: QueryEncoders, topology: Topology) {
    super();
    this.networks = own.networks;
    this.heads = own.heads;
    startAverages([...own.networks, own.heads], [...followed.networks, followed.heads]);
    this.#topology = topology.over(own.networks, ['embedding']);
    const pairs = pairUp([...own.networks, own.heads], [...followed.networks, followed.heads]);
    this.#weights = pairs.filter(({ key }) => key instanceof nn.Parameter);
    const buffers = pairs.filter(({ key }) => !(key instanceof nn.Parameter));
    this.#statistics = buffers.filter(({ key }) => key.dtype.startsWith('float'));
    this.#counts = buffers.filter(({ key }) => !key.dtype.startsWith('float'));
  }

  /**
   * Moves the encoders towards those that they follow: `k = m k + (1 - m) q`. Running statistics are averaged too, at first
   * as a plain mean: those that a network starts with are of no images at all.
   *
   * @param momentum m, the share that is kept
   */
  follow(momentum: number): void {
    move(this.#weights, momentum);
    move(this.#statistics, this.counter.next(momentum));
    noGrad(() => {
      for (const { key, query } of this.#counts) key.copy_(query);
    });
  }

  /** Keys of a batch, one `[B, width]` per network, L2-normalised and without gradients. */
  override forward(batch: CohortBatch): Tensor[] {
    // The training loop puts all modules into training mode.
    for (const network of this.networks) network.eval();
    return noGrad(() => this.heads.call(embeddingsOf(this.#topology.run(batch))));
  }
}

function move(pairs: readonly Followed[], momentum: number): void {
  updateAverages(
    pairs.map(({ key }) => key),
    pairs.map(({ query }) => query),
    momentum,
  );
}

function pairUp(keys: readonly nn.AnyModule[], queries: readonly nn.AnyModule[]): Followed[] {
  const tensorsOf = (modules: readonly nn.AnyModule[]): Tensor[] =>
    modules.flatMap((module) => [...module.stateDict().values()]);
  const followed = tensorsOf(queries);
  return tensorsOf(keys).map((key, index) => ({ key, query: at(followed, index, 'the tensors to follow') }));
}

/** Keeps the keys of the step under way until they enter the queues. */
export class LatestKeys {
  #keys: readonly Tensor[] = [];

  /** @param keys one `[B, width]` per network */
  set(keys: readonly Tensor[]): void {
    this.forget();
    this.#keys = keep(scope(() => keys.map((key) => key.detach())));
  }

  /** @throws {SelfSupervisionError} when no step is under way */
  get(): readonly Tensor[] {
    if (this.#keys.length > 0) return this.#keys;
    throw new SelfSupervisionError(
      'Momentum contrast: expected terms before afterStep, got afterStep alone.',
    );
  }

  forget(): void {
    for (const key of this.#keys) key.dispose();
    this.#keys = [];
  }
}
