/** What a distributed training will do, before it starts: who holds which networks, and what crosses in every step. */
import { autocast, backward, Generator, ops, packedBytes, scope, type Tensor } from '@cohort-ml/torch';
import { createNetworks, createTopology, networkNames } from '../../cohort/cohort.ts';
import { createMethod, type StepTerms } from '../../methods/index.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { evenPlacement, Exchange, type FlatOutputs, type Placement } from '../../topology/index.ts';

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
    /** Bytes that it passes to each other rank per step. */
    readonly bytesPerStep: number;
  }[];
  /** The most of all ranks: shorter messages are filled up. */
  readonly bytesPerStepAndPeer: number;
}

/** Images that a plan is made with; bytes grow with the images of a batch. */
const sampleImages = 2;

/** Works the plan out, from one step of the method on made-up images; nothing is trained. */
export function planTraining(recipe: ResolvedRecipe, placement: Placement, input: PlanInput): Plan {
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
    scope(() => {
      const { channels, height, width } = input;
      const images = ops.randn([sampleImages, channels, height, width], { generator });
      const labels = ops.arange(sampleImages, { dtype: 'int64' });
      const indices = Int32Array.from({ length: sampleImages }, (_, index) => index);
      const terms = (): StepTerms => method.terms({ images, labels, epoch: 0, indices });
      const { losses } = recipe.train.precision === 'bfloat16' ? autocast(terms) : terms();
      // What layers that ranks share are passed back crosses as well.
      if (topology.passBack === undefined) return;
      backward(Object.values(losses).reduce((sum, { value }) => sum.add(value), ops.zeros([])));
      topology.passBack();
    });
    const names = networkNames(recipe);
    const bytesOf = (network: number): number =>
      Math.round(((exchange.bytes[network] ?? 0) * recipe.train.batchSize) / sampleImages);
    const ranks = placement.map((own, rank) => ({
      rank,
      networks: own.map((network) => names[network] ?? ''),
      parameters: own.reduce((sum, network) => sum + (networks[network]?.parameterCount() ?? 0), 0),
      bytesPerStep: own.reduce((sum, network) => sum + bytesOf(network), 0),
    }));
    return { ranks, bytesPerStepAndPeer: Math.max(...ranks.map(({ bytesPerStep }) => bytesPerStep)) };
  } finally {
    topology.forget?.();
    for (const module of [...networks, ...(method.deployed ?? []), ...Object.values(method.modules)])
      module.dispose();
    for (const optimizer of Object.values(method.optimizers ?? {})) optimizer.dispose();
  }
}

/** One rank that has every network, and adds up what it would pass on if it were not alone. */
class MeasuringExchange extends Exchange {
  /** By network. */
  readonly bytes: number[] = [];

  constructor(networks: number) {
    const alone = {
      rank: 0,
      size: 1,
      allGather: (tensor: Tensor) => tensor.unsqueeze(0),
      allGatherText: (text: string) => [text],
    };
    super(alone, evenPlacement(networks, 1));
  }

  override gather(...[own, , crosses]: Parameters<Exchange['gather']>): FlatOutputs[] {
    for (const [network, outputs] of own.entries()) {
      const crossing = outputs.filter((_, place) => crosses(place, outputs.length));
      this.bytes[network] = (this.bytes[network] ?? 0) + packedBytes(crossing);
    }
    return [...own];
  }
}

/** The plan in words. */
export function planText({ ranks, bytesPerStepAndPeer }: Plan): string {
  const peers = ranks.length - 1;
  const milliseconds = (gigabits: number): string =>
    ((bytesPerStepAndPeer * peers * 8) / (gigabits * 1e6)).toFixed(gigabits < 10 ? 2 : 3);
  return [
    ...ranks.map(
      ({ rank, networks, parameters }) =>
        `rank ${rank}: ${networks.join(', ')} (${parameters.toLocaleString('en')} parameters)`,
    ),
    peers === 0
      ? 'one rank: nothing crosses'
      : `each step, every rank passes ${bytesPerStepAndPeer.toLocaleString('en')} bytes to each of ${peers} ${peers === 1 ? 'other' : 'others'}: an estimated ${milliseconds(1)} ms at 1 Gbit/s, ${milliseconds(10)} ms at 10 Gbit/s`,
  ].join('\n');
}
