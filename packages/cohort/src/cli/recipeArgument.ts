/** Finds out what `cohort train` was pointed at: a recipe, or a folder of images for which one is proposed. */
import { TABLE_ENDING } from '../data/folder/entries.ts';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResolvedRecipe } from '../recipes/index.ts';
import { RECIPE_ENDINGS } from '../recipes/folder.ts';
import type { CallOptions } from './contracts.ts';
import type { CliEnvironment } from './environment.ts';

/** Options of `cohort train` that decide on the recipe. */
export interface RecipeOptions {
  /** Refuses broken image files. */
  readonly strict?: true;
  /** File to write the recipe to. */
  readonly saveRecipe?: string;
}

/** The recipe to train, from its name or path or from a folder of images. @throws RecipeError, DataError */
export async function recipeOf(
  argument: string,
  givenOverrides: readonly string[],
  options: RecipeOptions,
  environment: CliEnvironment,
  call: CallOptions,
): Promise<ResolvedRecipe> {
  const overrides = options.strict === true ? [...givenOverrides, 'data.strict=true'] : givenOverrides;
  const { recipesFolder } = environment;
  if (!isImageSource(argument, recipesFolder)) {
    const { loadRecipe, stringifyRecipe } = await import('../recipes/load.ts');
    const recipe = loadRecipe(argument, overrides, { recipesFolder });
    if (options.saveRecipe !== undefined) await save(options.saveRecipe, stringifyRecipe(recipe), call);
    return recipe;
  }
  const { parseOverrides } = await import('../recipes/overrides.ts');
  // Wrong usage is told before thousands of files are looked at.
  parseOverrides(overrides);
  const survey = await environment.actions.surveyImages(argument, call);
  const { proposeRecipe } = await import('../recipes/propose.ts');
  const { recipe, text } = proposeRecipe(survey, overrides);
  call.reporter.message(text);
  if (options.saveRecipe !== undefined) await save(options.saveRecipe, text, call);
  else call.reporter.message('(to keep this recipe: --save-recipe FILE.yaml)');
  return recipe;
}

/** A recipe's name counts before a folder of the same name; `./name` is the folder. */
export function isImageSource(argument: string, recipesFolder: string): boolean {
  const isRecipeName =
    !/[/\\]/.test(argument) &&
    RECIPE_ENDINGS.some((ending) => existsSync(join(recipesFolder, `${argument}${ending}`)));
  return !isRecipeName && isFolderOrTable(argument);
}

/** Whether there is a folder at that path, or it is named like a table of images. */
export function isFolderOrTable(argument: string): boolean {
  return TABLE_ENDING.test(argument) || statSync(argument, { throwIfNoEntry: false })?.isDirectory() === true;
}

async function save(path: string, text: string, { reporter }: CallOptions): Promise<void> {
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    const { RecipeError } = await import('../recipes/errors.ts');
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    const reason = error instanceof Error ? error.message : String(error);
    throw new RecipeError(
      `--save-recipe ${path}: expected a new file, came ${isTaken ? 'one that is there already. Choose another name, or delete it' : `${reason}. Choose another place`}.`,
      [],
      { cause: error },
    );
  }
  reporter.message(`recipe written to ${path}`);
}
