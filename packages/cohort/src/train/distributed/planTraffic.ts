/** What a plan counts: bytes of outputs, gradients and statistics, from a step that one rank does alone. */
import { packedBytes, type nn, type Tensor } from '@cohort-ml/torch';
import type { Method } from '../../methods/index.ts';
import type { Network } from '../../models/index.ts';
import {
  evenPlacement,
  Exchange,
  type FlatOutputs,
  type RowSettings,
  type Topology,
} from '../../topology/index.ts';
import { at } from '../../support/at.ts';

/** What is trained, as a sample step has left it. */
interface SampledParts {
  readonly networks: readonly Network[];
  readonly method: Method;
  readonly topology: Topology;
}

/** What ranks that share a batch pass to one another besides outputs: gradients, and statistics of batch normalisation. */
export class DividedWork {
  readonly #parts: SampledParts;
  readonly #settings: RowSettings;
  /** Each once, whichever networks share it. */
  readonly #parameters: ReadonlySet<nn.Parameter>;

  constructor(parts: SampledParts, settings: RowSettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.#parameters = new Set(parts.topology.parameters());
  }

  /** Bytes per step, of a rank with these networks. */
  bytesOf(own: readonly number[]): number {
    const { method } = this.#parts;
    const modules = own.flatMap((network) => this.#modulesOf(network));
    const others = this.#settings.negatives === 'local' ? Object.values(method.modules) : [];
    const parameters = [...modules, ...others].flatMap((module) => module.parameters());
    const gradients = [...new Set([...parameters, ...this.#trunk()])].filter(({ grad }) => grad !== null);
    return packedBytes(gradients) + this.#statisticsBytes(modules);
  }

  /** A network with what refines its stages. */
  #modulesOf(network: number): nn.AnyModule[] {
    const { networks, method } = this.#parts;
    const refining = new Set((method.refining ?? []).flatMap((module) => module.parameters()));
    const own = (method.ofNetworks?.[network] ?? []).filter((module) =>
      module.parameters().some((parameter) => refining.has(parameter)),
    );
    return [at(networks, network, 'the networks'), ...own];
  }

  /** Layers that all share, which are the first network's and are run on every rank. */
  #trunk(): nn.Parameter[] {
    const { networks } = this.#parts;
    const last = networks.at(-1)?.parameters() ?? [];
    const first = at(networks, 0, 'the networks').parameters();
    return first.filter((_, index) => {
      const theirs = last[index];
      return theirs !== undefined && !this.#parameters.has(theirs);
    });
  }

  /** Of normalisations that have run: two sums a channel and a count, there and back; or means, after the step. */
  #statisticsBytes(modules: readonly nn.AnyModule[]): number {
    let bytes = 0;
    for (const [place, module] of modules.entries()) {
      const tensors = module.stateDict();
      for (const [name, tensor] of tensors) {
        if (!name.endsWith('running_mean')) continue;
        const sibling = (kind: string): Tensor | undefined =>
          tensors.get(name.replace(/running_mean$/, kind));
        const weight = sibling('weight');
        // Of networks that share layers, the first counts them.
        const isCounted = place === 0 || [...this.#parameters].every((each) => each !== weight);
        const runs = isCounted ? (sibling('num_batches_tracked')?.item() ?? 0) : 0;
        bytes +=
          this.#settings.batchNorm === 'local'
            ? 2 * packedBytes([tensor])
            : runs * 2 * (2 * tensor.numel + 1) * Float64Array.BYTES_PER_ELEMENT;
      }
    }
    return bytes;
  }
}

/** One rank that has every network, and adds up what it would pass on if it were not alone. */
export class MeasuringExchange extends Exchange {
  /** By network: of the rows that the rank runs, and of the whole batch. */
  readonly #bytes: { own: number; whole: number }[] = [];
  /** By network: what is passed on of its rows by a rank that has it, and by one that has not. */
  readonly #joined: { own: number; other: number }[] = [];
  /** Passed on by every rank. */
  #joinedByAll = 0;

  constructor(networks: number) {
    const alone = {
      rank: 0,
      size: 1,
      allGather: (tensor: Tensor) => tensor.unsqueeze(0),
      allGatherText: (text: string) => [text],
    };
    super(alone, evenPlacement(networks, 1));
  }

  /** Bytes to each rank with other networks. @param batches how often the sample goes into what a rank runs, and into a batch */
  bytesOf(networks: readonly number[], batches: { own: number; whole: number }): number {
    return networks.reduce((sum, network) => {
      const { own = 0, whole = 0 } = this.#bytes[network] ?? {};
      return sum + own * batches.own + whole * batches.whole;
    }, 0);
  }

  /** Bytes to each rank that shares the batch, of the sample's outputs. */
  joinedBytesOf(networks: readonly number[]): number {
    return this.#joined.reduce(
      (sum, { own, other }, network) => sum + (networks.includes(network) ? own : other),
      this.#joinedByAll,
    );
  }

  override gather(...[own, kind, crosses]: Parameters<Exchange['gather']>): FlatOutputs[] {
    for (const [network, outputs] of own.entries()) {
      const bytes = packedBytes(outputs.filter((_, place) => crosses(place, outputs.length)));
      const before = this.#bytes[network] ?? { own: 0, whole: 0 };
      this.#bytes[network] =
        kind === 'of each'
          ? { ...before, whole: before.whole + bytes }
          : { ...before, own: before.own + bytes };
    }
    return [...own];
  }

  override joinRows(...[outputs, , isNeeded]: Parameters<Exchange['joinRows']>): FlatOutputs[] {
    for (const [network, flat] of outputs.entries()) {
      const bytes = (isOwn: boolean): number =>
        packedBytes(flat.filter((_, place) => isNeeded(place, flat.length, isOwn)));
      const { own = 0, other = 0 } = this.#joined[network] ?? {};
      this.#joined[network] = { own: own + bytes(true), other: other + bytes(false) };
    }
    return [...outputs];
  }

  override wholeRows(tensor: Tensor): Tensor {
    this.#joinedByAll += packedBytes([tensor]);
    return tensor;
  }
}
