/** A digest of what a recipe trains, by which a comparison finds the runs that it has already done. */
import { createHash } from 'node:crypto';
import { withAbsolutePaths, type ResolvedRecipe } from '../../recipes/index.ts';

/**
 * SHA-256 of the resolved recipe, 16 hex digits of it. What a run is called, where it lies and on how many threads it runs
 * is left out, since the training is the same; paths count from the current folder, as in a run's recipe.
 */
export function recipeDigest(recipe: ResolvedRecipe): string {
  const { data, networks, seed, topology, method, train } = withAbsolutePaths(recipe);
  const trained = { data, networks, seed, topology, method, train };
  return createHash('sha256').update(canonical(trained)).digest('hex').slice(0, 16);
}

/** JSON with sorted keys: the order of settings in a file means nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : part,
  );
}
