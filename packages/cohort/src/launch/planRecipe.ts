/** The plan of a recipe on its own images, for `cohort launch --dry-run`. */
import { applyThreads } from '../cohort/environment.ts';
import { loadRecipeData } from '../cohort/images.ts';
import type { Reporter } from '../progress/reporter.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
import { choosePlacement } from '../train/distributed/join.ts';
import { planTraining, type Plan } from '../train/distributed/plan.ts';
import { assertSpreadable } from '../train/distributed/spreadable.ts';
import { hasTask, planTask } from '../transfer/training/taskSession.ts';

/** Where the training is to run. */
export interface PlanRequest {
  readonly recipe: ResolvedRecipe;
  readonly ranks: number;
  /** As `--placement` has it; neighbours go together unless given. */
  readonly placement?: string | undefined;
  /** How many ranks share each batch. */
  readonly shards: number;
}

/**
 * Loads the images and works out the plan.
 *
 * @throws {PlacementError} for networks that cannot be placed, {DistributionError} for trainings that cannot be spread
 */
export async function planRecipe(
  { recipe, ranks, placement, shards }: PlanRequest,
  options: { readonly signal: AbortSignal; readonly reporter: Reporter },
): Promise<Plan> {
  assertSpreadable(recipe, shards);
  const chosen = choosePlacement(recipe.networks.length, ranks, { placement, shards });
  if (hasTask(recipe)) return planTask(recipe, chosen, options);
  applyThreads(recipe, options.reporter);
  const { dataset } = await loadRecipeData(recipe, options);
  try {
    const { channels, height, width, train } = dataset;
    const input = { classes: dataset.classes.length, channels, height, width, trainingLabels: train.labels };
    return planTraining(recipe, chosen, input, shards);
  } finally {
    dataset.dispose?.();
  }
}
