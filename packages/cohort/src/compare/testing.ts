/** Plans of comparisons on the tiny recipe, for tests. */
import { resolveRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import { applyOverrides, parseOverrides } from '../recipes/overrides.ts';
import type { TinyWorld } from '../test/tinyRecipe.ts';
import { planComparison, type Plan, type PlanRequest } from './plan/plan.ts';
import { variantsOf, type VariantSettings } from './plan/variants.ts';

/** The tiny recipe with other settings, its topology left to the method as in a file. */
export function resolveTiny(world: TinyWorld, overrides: readonly string[]): ResolvedRecipe {
  const recipe = world.recipe({ train: { epochs: 1, batchSize: 32 } });
  const { data, paths } = applyOverrides({ ...recipe, topology: undefined }, parseOverrides(overrides));
  return resolveRecipe(data, { source: 'the test', overriddenPaths: paths });
}

/** A plan of two seeds over the tiny recipe. */
export function planTiny(
  world: TinyWorld,
  labels: readonly string[],
  more: Partial<PlanRequest> = {},
  settings: VariantSettings = {},
): Promise<Plan> {
  return planComparison({
    resolve: (overrides) => resolveTiny(world, overrides),
    variants: variantsOf(labels, settings, resolveTiny(world, []).method),
    seeds: [1, 2],
    fractions: [1],
    set: [],
    countTrainingImages: () => Promise.resolve(64),
    ...more,
  });
}
