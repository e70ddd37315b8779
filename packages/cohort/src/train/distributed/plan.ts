/** What a distributed training will do, before it starts: who holds which networks, and what crosses in every step. */
import {
  autocast,
  backward,
  Generator,
  ops,
  packedBytes,
  scope,
  type nn,
  type Tensor,
} from '@cohort-ml/torch';
import { createNetworks, createTopology, networkNames } from '../../cohort/cohort.ts';
import { createMethod, methodFacts, type Method, type StepTerms } from '../../methods/index.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import {
  evenPlacement,
  Exchange,
  type FlatOutputs,
  type Placement,
  type RowSettings,
  type Topology,
} from '../../topology/index.ts';
import type { Network } from '../../models/index.ts';
import { at } from '../../support/at.ts';

/** The images that a plan is for. */
export interface PlanInput {
  readonly classes: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Labels of the training images. */
  readonly trainingLabels: ArrayLike<number>;
}

/** A plan. */
export interface Plan {
  readonly ranks: readonly {
    readonly rank: number;
    readonly networks: readonly string[];
    readonly parameters: number;
    /** Bytes that it passes to each rank with other networks per step. */
    readonly bytesPerStep: number;
    /** Bytes that it passes to each rank that shares the batch per step. */
    readonly bytesPerStepToShards: number;
  }[];
  /** The most of all ranks: shorter messages are filled up. */
  readonly bytesPerStepAndPeer: number;
  /** How many ranks share each batch. */
  readonly shards: number;
  /** The most of all ranks; 0 where no batch is shared. */
  readonly bytesPerStepAndShard: number;
  /** What is done with a part of the batch alone. */
  readonly dataParallel: RowSettings;
}

/** Images that a plan is made with; bytes grow with the images of a batch. */
const sampleImages = 2;

/**
 * Works the plan out, from one step of the method on made-up images; nothing is trained.
 *
 * @param placement of the networks on ranks, or on sets of ranks that share each batch
 * @param shards how many ranks share each batch
 */
export function planTraining(
  recipe: ResolvedRecipe,
  placement: Placement,
  input: PlanInput,
  shards = 1,
): Plan {
  const networks = createNetworks(recipe, input);
  const exchange = new MeasuringExchange(networks.length);
  const topology = createTopology(recipe, networks, exchange);
  const generator = new Generator(recipe.seed);
  const method = createMethod(recipe.method, {
    networks,
    topology,
    classes: input.classes,
    generator,
    trainingLabels: input.trainingLabels,
    freshNetworks: () => createNetworks(recipe, input),
    batchSize: sampleImages,
  });
  try {
    const terms = scope(() => sampleStep(recipe, input, { method, topology, generator }, shards > 1));
    const { batchSize, dataParallel } = recipe.train;
    const names = networkNames(recipe);
    const divided = new DividedWork({ networks, method, topology }, dataParallel);
    const [whole, own] = [batchSize, Math.ceil(batchSize / shards)].map((images) => images / sampleImages);
    const sets = placement.map((held, place) => ({
      place,
      networks: held.map((network) => names[network] ?? ''),
      parameters: held.reduce((sum, network) => sum + (networks[network]?.parameterCount() ?? 0), 0),
      bytesPerStep: Math.round(exchange.bytesOf(held, { own: own ?? 1, whole: whole ?? 1 })),
      bytesPerStepToShards:
        shards === 1
          ? 0
          : Math.round(
              dataParallel.negatives === 'local'
                ? 8 * (terms + 1)
                : exchange.joinedBytesOf(held) * (own ?? 1),
            ) + divided.bytesOf(held),
    }));
    const ranks = sets.flatMap(({ place, ...set }) =>
      Array.from({ length: shards }, (_, shard) => ({ rank: place * shards + shard, ...set })),
    );
    return {
      ranks,
      bytesPerStepAndPeer: Math.max(...ranks.map(({ bytesPerStep }) => bytesPerStep)),
      shards,
      bytesPerStepAndShard: Math.max(...ranks.map(({ bytesPerStepToShards }) => bytesPerStepToShards)),
      dataParallel,
    };
  } finally {
    topology.forget?.();
    for (const module of [...networks, ...(method.deployed ?? []), ...Object.values(method.modules)])
      module.dispose();
    for (const optimizer of Object.values(method.optimizers ?? {})) optimizer.dispose();
  }
}

/** One step on random images, differentiated where that is needed to know what crosses. @returns how many values it has */
function sampleStep(
  recipe: ResolvedRecipe,
  { channels, height, width }: PlanInput,
  { method, topology, generator }: { method: Method; topology: Topology; generator: Generator },
  isShared: boolean,
): number {
  const view = (): Tensor => ops.randn([sampleImages, channels, height, width], { generator });
  const labels = ops.arange(sampleImages, { dtype: 'int64' });
  const indices = Int32Array.from({ length: sampleImages }, (_, index) => index);
  const otherView = methodFacts(recipe.method.name)?.isSelfSupervised === true ? { images: view() } : null;
  const terms = (): StepTerms =>
    method.terms({
      images: view(),
      labels,
      epoch: 0,
      indices,
      ...(otherView === null ? {} : { otherView }),
    });
  const { losses, measured = {} } = recipe.train.precision === 'bfloat16' ? autocast(terms) : terms();
  // What layers that ranks share are passed back crosses as well, and the gradients of networks that share a batch.
  if (topology.passBack !== undefined || isShared) {
    const counted = Object.values(losses).filter(({ weight }) => weight !== 0);
    backward(counted.reduce((sum, { value }) => sum.add(value), ops.zeros([])));
    topology.passBack?.();
  }
  return Object.keys(losses).length + Object.keys(measured).length;
}

/** What is trained, as a sample step has left it. */
interface SampledParts {
  readonly networks: readonly Network[];
  readonly method: Method;
  readonly topology: Topology;
}

/** What ranks that share a batch pass to one another beside outputs: gradients, and statistics of batch normalisation. */
class DividedWork {
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
class MeasuringExchange extends Exchange {
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

/** The plan in words. */
export function planText(plan: Plan): string {
  const { ranks, bytesPerStepAndPeer, bytesPerStepAndShard, shards, dataParallel } = plan;
  const peers = ranks.length / shards - 1;
  const place = (rank: number): string =>
    shards === 1 ? '' : `, part ${(rank % shards) + 1} of ${shards} of every batch`;
  const milliseconds = (bytes: number, others: number, gigabits: number): string =>
    ((bytes * others * 8) / (gigabits * 1e6)).toFixed(gigabits < 10 ? 2 : 3);
  const estimate = (bytes: number, others: number): string =>
    `an estimated ${milliseconds(bytes, others, 1)} ms at 1 Gbit/s, ${milliseconds(bytes, others, 10)} ms at 10 Gbit/s`;
  const others = (count: number): string => `${count} ${count === 1 ? 'other' : 'others'}`;
  const local = [
    ...(dataParallel.batchNorm === 'local' ? ['batch normalisation'] : []),
    ...(dataParallel.negatives === 'local' ? ['negatives'] : []),
  ];
  return [
    ...ranks.map(
      ({ rank, networks, parameters }) =>
        `rank ${rank}: ${networks.join(', ')} (${parameters.toLocaleString('en')} parameters)${place(rank)}`,
    ),
    ...(peers > 0
      ? [
          `each step, every rank passes ${bytesPerStepAndPeer.toLocaleString('en')} bytes to each of ${others(peers)}${shards === 1 ? '' : ' with the same part of the batch'}: ${estimate(bytesPerStepAndPeer, peers)}`,
        ]
      : []),
    ...(shards > 1
      ? [
          `each step, every rank passes ${bytesPerStepAndShard.toLocaleString('en')} bytes to each of ${others(shards - 1)} with the same networks: ${estimate(bytesPerStepAndShard, shards - 1)}`,
        ]
      : []),
    ...(shards > 1 && local.length > 0
      ? [`local to each part of the batch: ${local.join(' and ')}; a step is not that of one process`]
      : []),
    ...(ranks.length === 1 ? ['one rank: nothing crosses'] : []),
  ].join('\n');
}
