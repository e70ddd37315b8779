/** A cohort: the networks of a recipe and the method that they learn by, with weights drawn from the recipe's seed. */
import { Generator, type nn, type Tensor } from '@cohort-ml/torch';
import { hashKeys, RANDOM_PURPOSE } from '../data/loading/random.ts';
import {
  createMethod,
  crossingOutputs,
  LogitsRecorder,
  withWeightAverages,
  type Method,
  type MethodContext,
} from '../methods/index.ts';
import { createNetwork, type Network, type NetworkOutput } from '../models/index.ts';
import {
  Branches,
  DistributedPeers,
  lastStage,
  latestSplits,
  Peers,
  Tree,
  type Distribution,
  type Exchange,
  type Topology,
} from '../topology/index.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
import { classification as plainClassification } from '../losses/index.ts';
import { createClassification } from './classification.ts';
import { networkNames } from '../recipes/networkNames.ts';
import { describePretrained, loadPretrained } from './pretrained.ts';
import { at } from '../support/at.ts';

export { networkNames };

/** The images that a cohort is built for. */
export interface CohortInput {
  readonly classes: number;
  readonly channels: number;
  /** Names of the classes, where they are known: a classifier for other ones is not taken over. */
  readonly classNames?: readonly string[];
}

/** Networks and method, at work together. */
export interface Cohort {
  readonly networks: readonly Network[];
  /** What is trained and saved in the place of networks, where these are only a part of it: segmenters and detectors. */
  readonly modules?: readonly nn.Module<Tensor, unknown>[];
  /** One per network: the model's name, numbered where it occurs more than once. */
  readonly names: readonly string[];
  readonly method: Method;
  /** How the method runs the networks. */
  readonly topology: Topology;
  /** What the method was built from and may go on to draw from; absent where there is nothing to draw. */
  readonly generator?: Generator;
  /** Where networks are spread over ranks: runs each of them on its own, and gives all outputs to all. */
  readonly runNetworks?: RunNetworks;
}

/** Runs networks in the order of the cohort, theirs or such as stand for them, on the same images. */
export type RunNetworks = (networks: readonly Network[], images: Tensor) => readonly NetworkOutput[];

/**
 * Builds the cohort of a recipe. The networks' first weights depend on seed and place only, not on the method, or are those
 * that the recipe names.
 *
 * @param trainingLabels of the images that it will be trained on, by index
 * @param tell receives messages about weights that were loaded
 * @param exchange between the ranks that the networks are spread over, if they are
 * @throws {WeightsError} and the errors of files for weights that cannot be read or do not fit
 */
export function createCohort(
  recipe: ResolvedRecipe,
  input: CohortInput,
  trainingLabels: ArrayLike<number>,
  tell: (message: string) => void = () => undefined,
  exchange?: Exchange,
): Cohort {
  const networks = createNetworks(recipe, input);
  loadNetworks(recipe, input, networks, tell);
  const generator = new Generator(hashKeys(RANDOM_PURPOSE.method, recipe.seed));
  const working = createCohortMethod(recipe, input, networks, generator, trainingLabels, exchange);
  const cohort = { networks, names: networkNames(recipe), ...working, generator };
  return exchange === undefined ? cohort : { ...cohort, runNetworks: runOver(exchange) };
}

/**
 * The method of a recipe at work on its networks.
 *
 * @param generator of the first weights of the method's own modules
 * @param trainingLabels left out where nothing is to be trained
 * @param exchange between the ranks that the networks are spread over, if they are
 */
export function createCohortMethod(
  recipe: ResolvedRecipe,
  input: CohortInput,
  networks: readonly Network[],
  generator: Generator,
  trainingLabels?: ArrayLike<number>,
  exchange?: Exchange,
): Pick<Cohort, 'method' | 'topology'> {
  const topology = createTopology(recipe, networks, exchange);
  const { batchSize, classification: settings, weightAverage } = recipe.train;
  const own =
    trainingLabels === undefined ? undefined : createClassification(settings, { ...input, trainingLabels });
  const classification = exchange === undefined ? own : exchange.classification(own ?? plainClassification);
  const context: MethodContext = {
    networks,
    topology: weightAverage?.teacher == null ? topology : new LogitsRecorder(topology),
    classes: input.classes,
    generator,
    ...(trainingLabels === undefined ? {} : { trainingLabels }),
    ...(classification === undefined ? {} : { classification }),
    batchSize,
    freshNetworks: () => createNetworks(recipe, input),
  };
  const plain = createMethod(recipe.method, context);
  const method = weightAverage === null ? plain : withWeightAverages(plain, context, weightAverage);
  if (recipe.train.channelsLast) {
    for (const module of Object.values(method.modules)) module.toMemoryFormat('channelsLast');
  }
  return { method, topology };
}

/** Evaluation needs logits and embeddings of every network, whatever crosses in training. */
function runOver(exchange: Exchange): RunNetworks {
  const distribution = { exchange, crossing: ['logits', 'embedding'] } as const;
  return (networks, images) => new DistributedPeers(networks, distribution).run({ images });
}

/** What crosses between ranks with this recipe. */
function distributionOf(recipe: ResolvedRecipe, exchange: Exchange): Distribution {
  const crossing = crossingOutputs(recipe.method);
  // The ensemble of averages teaches by logits, whatever the method itself needs.
  const teaches = recipe.train.weightAverage?.teacher != null && !crossing.includes('logits');
  return { exchange, crossing: teaches ? [...crossing, 'logits'] : crossing };
}

/**
 * How the networks are run together; from here on those that share layers share their weights.
 *
 * @param exchange between the ranks that the networks are spread over, if they are
 */
export function createTopology(
  recipe: ResolvedRecipe,
  networks: readonly Network[],
  exchange?: Exchange,
): Topology {
  const { topology } = recipe;
  const distribution = exchange && distributionOf(recipe, exchange);
  switch (topology.name) {
    case 'peers':
      return distribution === undefined ? new Peers(networks) : new DistributedPeers(networks, distribution);
    case 'branches':
      return new Branches(networks, topology.sharedStages ?? lastStage(networks), distribution);
    case 'tree':
      return new Tree(networks, topology.splitAfterStages ?? latestSplits(networks), distribution);
  }
}

/** The networks alone, as evaluation and prediction need them. */
export function createNetworks(recipe: ResolvedRecipe, input: CohortInput): Network[] {
  return recipe.networks.map(({ model }, index) => {
    const generator = new Generator(hashKeys(RANDOM_PURPOSE.weights, recipe.seed, index));
    // Pictures without labels have one class; a network has a classifier for two then, which nothing trains.
    const classes = Math.max(2, input.classes);
    const network = createNetwork(model, { ...input, classes, generator });
    return recipe.train.channelsLast ? network.toMemoryFormat('channelsLast') : network;
  });
}

/** Weights that the recipe names, into the networks that they are named for. */
function loadNetworks(
  recipe: ResolvedRecipe,
  input: CohortInput,
  networks: readonly Network[],
  tell: (message: string) => void,
): void {
  const names = networkNames(recipe);
  for (const [index, { model, weights }] of recipe.networks.entries()) {
    if (weights === null) continue;
    const network = at(networks, index, 'the cohort');
    const ordinal = recipe.networks.slice(0, index).filter((other) => other.model === model).length;
    const loaded = loadPretrained(network, { ...input, path: weights, model, ordinal });
    tell(describePretrained(at(names, index), loaded));
  }
  const later = names.filter((_, index) => index > 0 && recipe.networks[index]?.weights != null);
  if (recipe.topology.name !== 'peers' && later.length > 0) {
    tell(
      `layers that networks share are those of the first that shares them: of the weights for ${later.join(', ')}, only layers that no earlier network shares are used`,
    );
  }
}

/** Networks with the names of their files in a checkpoint. */
export function networkFiles(
  recipe: ResolvedRecipe,
  networks: readonly nn.AnyModule[],
): [string, nn.AnyModule][] {
  const names = networkNames(recipe);
  return networks.map((network, index) => [`network-${at(names, index, 'the names')}`, network]);
}

/** Every module that is trained and saved, with the name of its file in a checkpoint. */
export function cohortModules(recipe: ResolvedRecipe, cohort: Cohort): [string, nn.AnyModule][] {
  const { deployed } = cohort.method;
  return [
    ...networkFiles(recipe, cohort.modules ?? deployed ?? cohort.networks),
    // Needed to go on with the training; a network's own name stands for what is used.
    ...(deployed === undefined ? [] : networkNames(recipe)).map((name, index): [string, nn.AnyModule] => [
      `trained-${name}`,
      at(cohort.networks, index, 'the cohort'),
    ]),
    ...methodFiles(cohort.method),
  ];
}

/** A method's modules with the names of their files in a checkpoint. */
export function methodFiles(method: Method): [string, nn.AnyModule][] {
  return Object.entries(method.modules).map(([name, module]) => [`method-${name}`, module]);
}
