/** From a recipe's name or path, with overrides, to the resolved recipe; and from that back to YAML for the run folder. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { stringify } from 'yaml';
import { RecipeError } from './errors.ts';
import { RECIPE_ENDINGS, recipeNames, recipesFolder } from './folder.ts';
import { applyOverrides, parseOverrides } from './overrides.ts';
import type { ResolvedRecipe } from './schema.ts';
import { nearestName } from '../support/nearestName.ts';
import { resolveRecipe } from './validate.ts';
import { readYaml } from './yamlSource.ts';

/** A recipe says an experiment; a file past this size is something else. */
const MAXIMUM_BYTES = 1_000_000;

/** Where to look for recipes. */
export interface LoadRecipeOptions {
  /** Folder of the recipes that go by a bare name; the repository's `recipes/` unless given. */
  readonly recipesFolder?: string;
}

/**
 * Reads a recipe, applies overrides, and checks it.
 * @param nameOrPath - the name of a recipe in `recipes/` (`demo`), or the path of a file.
 * @param overrides - `key=value` each, with dotted paths: `train.epochs=20`, `networks.0.model=resnet20`.
 * @throws {@link RecipeError} when it cannot be found, read or used, with every problem at once.
 */
export function loadRecipe(
  nameOrPath: string,
  overrides: readonly string[] = [],
  options: LoadRecipeOptions = {},
): ResolvedRecipe {
  // Wrong usage is told before a file is touched.
  parseOverrides(overrides);
  const path = findRecipe(nameOrPath, options.recipesFolder ?? recipesFolder());
  return parseRecipe(readRecipeFile(path), path, overrides);
}

/**
 * Checks the text of a recipe.
 * @param source - what messages call it; a path, mostly.
 * @throws {@link RecipeError} with every problem at once.
 */
export function parseRecipe(
  text: string,
  source = 'the recipe',
  overrides: readonly string[] = [],
): ResolvedRecipe {
  const yaml = readYaml(text, source);
  const { data, paths, problems } = applyOverrides(yaml.data, parseOverrides(overrides));
  return resolveRecipe(data, { source, locate: yaml.locate, overriddenPaths: paths, problems });
}

/** The resolved recipe as YAML that reads back to the same recipe. */
export function stringifyRecipe(recipe: ResolvedRecipe): string {
  return stringify(recipe, { lineWidth: 0, aliasDuplicateObjects: false });
}

function findRecipe(nameOrPath: string, folder: string): string {
  const isPath = /[/\\]/.test(nameOrPath) || RECIPE_ENDINGS.some((ending) => nameOrPath.endsWith(ending));
  if (isPath) {
    if (existsSync(nameOrPath)) return nameOrPath;
    throw new RecipeError('no such recipe file', [], {
      operation: `recipe ${nameOrPath}`,
      remedy: listRecipes(nameOrPath, folder),
    });
  }
  for (const ending of RECIPE_ENDINGS) {
    const path = join(folder, `${nameOrPath}${ending}`);
    if (nameOrPath !== '' && existsSync(path)) return path;
  }
  throw new RecipeError('no recipe has that name; a path must end in .yaml', [], {
    operation: `recipe ${JSON.stringify(nameOrPath)}`,
    remedy: listRecipes(nameOrPath, folder),
  });
}

function listRecipes(nameOrPath: string, folder: string): string {
  const names = recipeNames(folder);
  if (names.length === 0) return `There are no recipes in ${folder}.`;
  const bareName = nameOrPath.replace(/^.*[/\\]/, '').replace(/\.ya?ml$/, '');
  const nearest = nearestName(bareName, names);
  const question = nearest === null ? '' : `Did you mean ${nearest}? `;
  return `${question}The recipes in ${folder} are ${names.join(', ')}.`;
}

function readRecipeFile(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readWhole(path);
  } catch (error) {
    if (error instanceof RecipeError) throw error;
    const reason = errorText(error);
    throw new RecipeError(`cannot be read: ${reason}`, [], {
      operation: `recipe ${path}`,
      remedy: 'Check its path and permissions.',
      cause: error,
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new RecipeError('not UTF-8 text', [], {
      operation: `recipe ${path}`,
      remedy: 'Save the file as UTF-8.',
      cause: error,
    });
  }
}

function readWhole(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const status = fstatSync(file);
    if (status.isDirectory()) {
      throw new RecipeError('is a folder', [], {
        operation: `recipe ${path}`,
        remedy: 'Give the path of the YAML file in it.',
      });
    }
    if (status.size > MAXIMUM_BYTES) {
      throw new RecipeError({
        operation: `recipe ${path}`,
        expected: `at most ${MAXIMUM_BYTES} bytes`,
        received: `${status.size}`,
        remedy: 'Check that this is a recipe.',
      });
    }
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}
