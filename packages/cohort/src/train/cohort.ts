/** A cohort: the networks of a recipe and the method that they learn by, with weights drawn from the recipe's seed. */
import { Generator, type nn } from '@cohort/torch';
import { hashKeys, RANDOM_PURPOSE } from '../data/random.ts';
import { createMethod, type Method } from '../methods/index.ts';
import { Branches, createNetwork, Peers, type Network, type Topology } from '../models/index.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';

/** The images that a cohort is built for. */
export interface CohortInput {
  readonly classes: number;
  readonly channels: number;
}

/** Networks and method, at work together. */
export interface Cohort {
  readonly networks: readonly Network[];
  /** One a network: the model's name, numbered where it occurs more than once. */
  readonly names: readonly string[];
  readonly method: Method;
}

/**
 * Builds the cohort of a recipe. The networks' first weights depend on seed and place only, not on the method.
 *
 * @param trainingLabels of the images that it will be trained on, by index
 */
export function createCohort(
  recipe: ResolvedRecipe,
  input: CohortInput,
  trainingLabels: ArrayLike<number>,
): Cohort {
  const networks = createNetworks(recipe, input);
  const generator = new Generator(hashKeys(RANDOM_PURPOSE.method, recipe.seed));
  const topology = createTopology(recipe, networks);
  const method = createMethod(recipe.method, {
    networks,
    topology,
    classes: input.classes,
    generator,
    trainingLabels,
  });
  if (recipe.train.channelsLast) {
    for (const module of Object.values(method.modules)) module.toMemoryFormat('channelsLast');
  }
  return { networks, names: networkNames(recipe), method };
}

/** How the networks are run together; from here on branches share their trunk's weights. */
function createTopology(recipe: ResolvedRecipe, networks: readonly Network[]): Topology {
  const { topology } = recipe;
  return topology.name === 'branches' ? new Branches(networks, topology.sharedStages) : new Peers(networks);
}

/** The networks alone, as evaluation and prediction need them. */
export function createNetworks(recipe: ResolvedRecipe, input: CohortInput): Network[] {
  return recipe.networks.map(({ model }, index) => {
    const generator = new Generator(hashKeys(RANDOM_PURPOSE.weights, recipe.seed, index));
    const network = createNetwork(model, { ...input, generator });
    return recipe.train.channelsLast ? network.toMemoryFormat('channelsLast') : network;
  });
}

/** Names for tables and files: `resnet8-1`, `resnet8-2`, `resnet20`. */
export function networkNames(recipe: ResolvedRecipe): string[] {
  const models = recipe.networks.map(({ model }) => model);
  return models.map((model, index) => {
    const isSingle = models.indexOf(model) === models.lastIndexOf(model);
    const number = models.slice(0, index + 1).filter((other) => other === model).length;
    return isSingle ? model : `${model}-${number}`;
  });
}

/** Networks with the names of their files in a checkpoint. */
export function networkFiles(recipe: ResolvedRecipe, networks: readonly Network[]): [string, nn.AnyModule][] {
  const names = networkNames(recipe);
  return networks.map((network, index) => [`network-${names[index] ?? ''}`, network]);
}

/** Every module that is trained and saved, with the name of its file in a checkpoint. */
export function cohortModules(recipe: ResolvedRecipe, cohort: Cohort): [string, nn.AnyModule][] {
  const extra = Object.entries(cohort.method.modules);
  return [
    ...networkFiles(recipe, cohort.networks),
    ...extra.map(([name, module]): [string, nn.AnyModule] => [`method-${name}`, module]),
  ];
}
