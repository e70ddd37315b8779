/** A cohort: the networks of a recipe and the method that they learn by, with weights drawn from the recipe's seed. */
import { Generator, type nn } from '@cohort-ml/torch';
import { hashKeys, RANDOM_PURPOSE } from '../data/loading/random.ts';
import {
  createMethod,
  LogitsRecorder,
  withWeightAverages,
  type Method,
  type MethodContext,
} from '../methods/index.ts';
import { createNetwork, type Network } from '../models/index.ts';
import { Branches, lastStage, latestSplits, Peers, Tree, type Topology } from '../topology/index.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
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
  /** One per network: the model's name, numbered where it occurs more than once. */
  readonly names: readonly string[];
  readonly method: Method;
  /** How the method runs the networks. */
  readonly topology: Topology;
  /** What the method was built from and may go on to draw from; absent where there is nothing to draw. */
  readonly generator?: Generator;
}

/**
 * Builds the cohort of a recipe. The networks' first weights depend on seed and place only, not on the method, or are those
 * that the recipe names.
 *
 * @param trainingLabels of the images that it will be trained on, by index
 * @param tell receives messages about weights that were loaded
 * @throws {WeightsError} and the errors of files for weights that cannot be read or do not fit
 */
export function createCohort(
  recipe: ResolvedRecipe,
  input: CohortInput,
  trainingLabels: ArrayLike<number>,
  tell: (message: string) => void = () => undefined,
): Cohort {
  const networks = createNetworks(recipe, input);
  loadNetworks(recipe, input, networks, tell);
  const generator = new Generator(hashKeys(RANDOM_PURPOSE.method, recipe.seed));
  const working = createCohortMethod(recipe, input, networks, generator, trainingLabels);
  return { networks, names: networkNames(recipe), ...working, generator };
}

/**
 * The method of a recipe at work on its networks.
 *
 * @param generator of the first weights of the method's own modules
 * @param trainingLabels left out where nothing is to be trained
 */
export function createCohortMethod(
  recipe: ResolvedRecipe,
  input: CohortInput,
  networks: readonly Network[],
  generator: Generator,
  trainingLabels?: ArrayLike<number>,
): Pick<Cohort, 'method' | 'topology'> {
  const topology = createTopology(recipe, networks);
  const { batchSize, classification: settings, weightAverage } = recipe.train;
  const classification =
    trainingLabels === undefined ? undefined : createClassification(settings, { ...input, trainingLabels });
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

/** How the networks are run together; from here on those that share layers share their weights. */
function createTopology({ topology }: ResolvedRecipe, networks: readonly Network[]): Topology {
  switch (topology.name) {
    case 'peers':
      return new Peers(networks);
    case 'branches':
      return new Branches(networks, topology.sharedStages ?? lastStage(networks));
    case 'tree':
      return new Tree(networks, topology.splitAfterStages ?? latestSplits(networks));
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
export function networkFiles(recipe: ResolvedRecipe, networks: readonly Network[]): [string, nn.AnyModule][] {
  const names = networkNames(recipe);
  return networks.map((network, index) => [`network-${at(names, index, 'the names')}`, network]);
}

/** Every module that is trained and saved, with the name of its file in a checkpoint. */
export function cohortModules(recipe: ResolvedRecipe, cohort: Cohort): [string, nn.AnyModule][] {
  const { deployed } = cohort.method;
  return [
    ...networkFiles(recipe, deployed ?? cohort.networks),
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
