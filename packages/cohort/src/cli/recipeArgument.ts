/** Finds out what `cohort train` was pointed at: a recipe, or a folder of images for which one is proposed. */
import { errorCode, fileErrorReason } from '@cohort-ml/errors';
import { TABLE_ENDING } from '../data/folder/tables/tableEnding.ts';
import { closeSync, existsSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageSurvey } from '../data/folder/survey.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';
import type { ProposedRecipe } from '../recipes/propose.ts';
import { RECIPE_ENDINGS } from '../recipes/folder.ts';
import { nearestName } from '../support/nearestName.ts';
import type { CallOptions } from './contracts.ts';
import type { CliEnvironment } from './environment.ts';

/** Options of `cohort train` that decide on the recipe. */
export interface RecipeOptions {
  /** Refuses broken image files. */
  readonly strict?: true;
  /** Follows links that lead out of the folder of images. */
  readonly followLinks?: true;
  /** File to write the recipe to. */
  readonly saveRecipe?: string;
}

/**
 * The recipe to train, from its name or path or from a folder of images.
 *
 * @param purpose for which one is proposed: to classify, or to learn from pictures without labels
 * @throws RecipeError, DataError
 */
export async function recipeOf(
  argument: string,
  givenOverrides: readonly string[],
  options: RecipeOptions,
  environment: CliEnvironment,
  call: CallOptions,
  purpose: 'train' | 'pretrain' = 'train',
): Promise<ResolvedRecipe> {
  const overrides = [
    ...givenOverrides,
    ...(options.strict === true ? ['data.strict=true'] : []),
    ...(options.followLinks === true ? ['data.followLinks=true'] : []),
  ];
  const { recipesFolder } = environment;
  if (!isImageSource(argument, recipesFolder)) {
    await refuseOtherFiles(argument, recipesFolder);
    const { loadRecipe, stringifyRecipe } = await import('../recipes/load.ts');
    const recipe = loadRecipe(argument, overrides, { recipesFolder });
    if (options.saveRecipe !== undefined) await save(options.saveRecipe, stringifyRecipe(recipe), call);
    return recipe;
  }
  const { recipe, text } = await proposalFor(argument, overrides, environment, call, purpose);
  call.reporter.message(text);
  if (options.saveRecipe !== undefined) await save(options.saveRecipe, text, call);
  else call.reporter.message('(to save this recipe: --save-recipe FILE.yaml)');
  return recipe;
}

/** Looks at a folder or table of images, in the way that the settings ask for. @throws DataError, RecipeError */
export async function surveyFor(
  argument: string,
  overrides: readonly string[],
  environment: CliEnvironment,
  call: CallOptions,
): Promise<ImageSurvey> {
  const followLinks = await followsLinks(overrides);
  return environment.actions.surveyImages(argument, { ...call, followLinks });
}

/** Wrong usage is reported before thousands of files are looked at. @throws RecipeError */
async function followsLinks(overrides: readonly string[]): Promise<boolean> {
  const { parseOverrides } = await import('../recipes/overrides.ts');
  const parsed = parseOverrides(overrides);
  return parsed.findLast(({ path }) => path.join('.') === 'data.followLinks')?.value === true;
}

async function proposalFor(
  path: string,
  overrides: readonly string[],
  environment: CliEnvironment,
  call: CallOptions,
  purpose: 'train' | 'pretrain',
): Promise<ProposedRecipe> {
  if (purpose === 'pretrain') {
    const followLinks = await followsLinks(overrides);
    const survey = await environment.actions.surveyPictures(path, { ...call, followLinks });
    return (await import('../recipes/proposePretraining.ts')).proposePretraining(survey, overrides);
  }
  const survey = await surveyFor(path, overrides, environment, call);
  return (await import('../recipes/propose.ts')).proposeRecipe(survey, overrides);
}

/** A recipe's name counts before a folder of the same name; `./name` is the folder. */
export function isImageSource(argument: string, recipesFolder: string): boolean {
  return !isRecipeName(argument, recipesFolder) && isFolderOrTable(argument);
}

function isRecipeName(argument: string, recipesFolder: string): boolean {
  return (
    !/[/\\]/.test(argument) &&
    RECIPE_ENDINGS.some((ending) => existsSync(join(recipesFolder, `${argument}${ending}`)))
  );
}

/**
 * Refuses what is neither a recipe nor a folder or table of images, by what it is: an archive, a picture, nothing at all.
 * @throws RecipeError
 */
async function refuseOtherFiles(argument: string, recipesFolder: string): Promise<void> {
  const isYaml = RECIPE_ENDINGS.some((ending) => argument.toLowerCase().endsWith(ending));
  if (argument === '' || isYaml || isRecipeName(argument, recipesFolder)) return;
  const { describeSource, nearestPath } = await import('../data/folder/sourceHints.ts');
  const { RecipeError } = await import('../recipes/errors.ts');
  const expected = 'a recipe (YAML), a folder of images, or a table of images (.csv, .tsv, .txt)';
  if (statSync(argument, { throwIfNoEntry: false }) !== undefined) {
    const { what, remedy } = await describeSource(argument);
    // Text without an ending may be a recipe for all that is known.
    if (what === 'another file') return;
    throw new RecipeError({ operation: argument, expected, received: what, remedy });
  }
  const hint = await nearestPath(argument);
  // A bare name is that of a recipe, unless there is a folder or table of nearly that name.
  if (!/[/\\]/.test(argument) && hint === null) return;
  const { recipeNames } = await import('../recipes/folder.ts');
  const nearestRecipe = nearestName(argument.replace(/^.*[/\\]/, ''), recipeNames(recipesFolder));
  if (!/[/\\]/.test(argument) && nearestRecipe !== null) return;
  throw new RecipeError({
    operation: argument,
    expected,
    received: 'nothing at that path',
    remedy: `${hint ?? 'Check the path.'}${nearestRecipe === null ? '' : ` There is also a recipe named ${nearestRecipe}.`}`,
  });
}

/** Whether there is a folder at that path, or it is named like a table of images. */
export function isFolderOrTable(argument: string): boolean {
  return TABLE_ENDING.test(argument) || statSync(argument, { throwIfNoEntry: false })?.isDirectory() === true;
}

function writeNewFile(path: string, text: string): void {
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, text);
  } catch (error) {
    // Half a recipe would be in the way of the next attempt.
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

async function save(path: string, text: string, { reporter }: CallOptions): Promise<void> {
  try {
    writeNewFile(path, text);
  } catch (error) {
    const { RecipeError } = await import('../recipes/errors.ts');
    const isTaken = errorCode(error) === 'EEXIST';
    throw new RecipeError(
      {
        operation: `--save-recipe ${path}`,
        expected: 'a new file',
        received: isTaken ? 'an existing one' : fileErrorReason(error),
        remedy: isTaken ? 'Choose another name, or delete it.' : 'Choose another place.',
      },
      [],
      { cause: error },
    );
  }
  reporter.message(`recipe written to ${path}`);
}
