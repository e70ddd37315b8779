/** What a distributed training will do, before it starts: who holds which networks, and what crosses in every step. */
import { autocast, backward, Generator, ops, scope, type Tensor } from '@cohort-ml/torch';
import { createNetworks, createTopology, networkNames } from '../../cohort/cohort.ts';
import { createMethod, methodFacts, type Method, type StepTerms } from '../../methods/index.ts';
import type { Network } from '../../models/index.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import type { Placement, RowSettings, Topology } from '../../topology/index.ts';
import { DividedWork, MeasuringExchange } from './planTraffic.ts';

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
    // How often the sample goes into a batch, and into what a rank runs of it.
    const batches = { whole: batchSize / sampleImages, own: Math.ceil(batchSize / shards) / sampleImages };
    const bytesToShards = (own: readonly number[]): number => {
      if (shards === 1) return 0;
      const outputs =
        dataParallel.negatives === 'local'
          ? (terms + 1) * Float64Array.BYTES_PER_ELEMENT
          : Math.round(exchange.joinedBytesOf(own) * batches.own);
      return outputs + divided.bytesOf(own);
    };
    // To clip gradients, ranks tell one another the norm of each.
    const normBytes =
      recipe.train.gradientClipping === null
        ? 0
        : trainedParameters(networks, method) * Float32Array.BYTES_PER_ELEMENT;
    const sets = placement.map((own, place) => ({
      place,
      networks: own.map((network) => names[network] ?? ''),
      parameters: own.reduce((sum, network) => sum + (networks[network]?.parameterCount() ?? 0), 0),
      bytesPerStep: Math.round(exchange.bytesOf(own, batches)) + normBytes,
      bytesPerStepToShards: bytesToShards(own),
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

/** How many parameters the training's optimizer steps. */
function trainedParameters(networks: readonly Network[], { modules, optimizers = {} }: Method): number {
  const own = new Set(Object.values(optimizers).flatMap(({ parameters }) => parameters));
  const all = [...networks, ...Object.values(modules)].flatMap((module) => module.parameters());
  return new Set(all.filter((each) => each.requiresGrad && !own.has(each))).size;
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
