/** What recipes offer to the command line and to training. */
export { withAbsolutePaths } from './absolutePaths.ts';
export { describeSettings, type SettingDescription } from './describeSettings.ts';
export { recipeAdvice } from './advice.ts';
export { OverrideSyntaxError, RecipeError, describeProblem } from './errors.ts';
export type { RecipeProblem } from './errors.ts';
export { recipeNames, recipesFolder } from './folder.ts';
export { loadRecipe, parseRecipe, stringifyRecipe } from './load.ts';
export type { LoadRecipeOptions } from './load.ts';
export { proposeRecipe } from './propose.ts';
export type { ProposedRecipe } from './propose.ts';
export { recipeSchema } from './schema.ts';
export type { OptimizerRecipe, RecipeInput, ResolvedRecipe, ScheduleRecipe } from './schema.ts';
export { nearestName } from '../support/nearestName.ts';
export { resolveRecipe } from './validate.ts';
export type { RecipeOrigin } from './validate.ts';
