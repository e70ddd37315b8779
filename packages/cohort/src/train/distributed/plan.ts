/** What a distributed training will do, before it starts: who holds which networks, and what crosses in every step. */
import { autocast, Generator, noGrad, ops, scope, type Tensor } from '@cohort-ml/torch';
import { assertDistributable } from '../../cohort/distributable.ts';
import { createNetworks, networkNames } from '../../cohort/cohort.ts';
import { createMethod, crossingOutputs } from '../../methods/index.ts';
import type { NetworkOutput, StageOutputs } from '../../models/network.ts';
import type { ResolvedRecipe } from '../../recipes/index.ts';
import { Peers, type CohortBatch, type CrossingOutput, type Placement, type Refine } from '../../topology/index.ts';

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

/** Works the plan out, from one forward pass of the method. @throws {DistributionError} for a recipe that cannot be spread */
export function planTraining(recipe: ResolvedRecipe, placement: Placement, input: PlanInput): Plan {
  assertDistributable(recipe);
  const networks = createNetworks(recipe, input);
  const topology = new MeasuringPeers(networks, crossingOutputs(recipe.method));
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
    noGrad(() => {
      scope(() => {
        const { channels, height, width } = input;
        const images = ops.randn([sampleImages, channels, height, width], { generator });
        const labels = ops.zeros([sampleImages], { dtype: 'int64' });
        const indices = Int32Array.from({ length: sampleImages }, (_, index) => index);
        autocast(() => method.terms({ images, labels, epoch: 0, indices }), recipe.train.precision === 'bfloat16');
      });
    });
    const names = networkNames(recipe);
    const bytesOf = (network: number): number =>
      Math.round(((topology.bytes[network] ?? 0) * recipe.train.batchSize) / sampleImages);
    const ranks = placement.map((own, rank) => ({
      rank,
      networks: own.map((network) => names[network] ?? ''),
      parameters: own.reduce((sum, network) => sum + (networks[network]?.parameterCount() ?? 0), 0),
      bytesPerStep: own.reduce((sum, network) => sum + bytesOf(network), 0),
    }));
    return { ranks, bytesPerStepAndPeer: Math.max(...ranks.map(({ bytesPerStep }) => bytesPerStep)) };
  } finally {
    for (const module of [...networks, ...(method.deployed ?? []), ...Object.values(method.modules)]) module.dispose();
  }
}

/** Adds up what would cross. */
class MeasuringPeers extends Peers {
  readonly bytes: number[] = [];
  readonly #crossing: readonly CrossingOutput[];

  constructor(networks: ConstructorParameters<typeof Peers>[0], crossing: readonly CrossingOutput[]) {
    super(networks);
    this.#crossing = crossing;
  }

  override run(batch: CohortBatch, keepStages = false): NetworkOutput[] {
    const outputs = super.run(batch, keepStages);
    for (const [network, { logits, embedding, stages }] of outputs.entries()) {
      this.#add(network, 'logits', [logits]);
      this.#add(network, 'embedding', [embedding]);
      if (this.#crossing.includes('stages')) this.#add(network, 'stages', stages);
      else this.#add(network, 'lastStage', stages.slice(-1));
    }
    return outputs;
  }

  override runRefined(batch: CohortBatch, refine: Refine): StageOutputs[] {
    const outputs = super.runRefined(batch, refine);
    for (const [network, { logits, embeddings }] of outputs.entries()) {
      this.#add(network, 'logits', logits);
      this.#add(network, 'embedding', embeddings);
    }
    return outputs;
  }

  override over(networks: ConstructorParameters<typeof Peers>[0]): Peers {
    const inner = new MeasuringPeers(networks, this.#crossing);
    // Averages that teach cross as well.
    Object.defineProperty(inner, 'bytes', { value: this.bytes });
    return inner;
  }

  #add(network: number, output: CrossingOutput, tensors: readonly Tensor[]): void {
    if (!this.#crossing.includes(output)) return;
    const width = (tensor: Tensor): number => (tensor.dtype === 'bfloat16' ? 2 : 4);
    const bytes = tensors.reduce((sum, tensor) => sum + tensor.numel * width(tensor), 0);
    this.bytes[network] = (this.bytes[network] ?? 0) + bytes;
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
