/** Makes a recipe mean the same in every folder. */
import { resolve } from 'node:path';
import { portableWeights } from '../weights/offered.ts';
import type { ResolvedRecipe } from './schema.ts';

/** The recipe with absolute paths of data and weights; relative ones count from the current folder. */
export function withAbsolutePaths(recipe: ResolvedRecipe): ResolvedRecipe {
  const absolute = (path: string | null): string | null => (path === null ? null : resolve(path));
  const networks = recipe.networks.map((network) => ({
    ...network,
    weights: portableWeights(network.weights),
  }));
  return { ...recipe, data: { ...recipe.data, path: absolute(recipe.data.path) }, networks };
}
