/** Where recipes live and which there are: `recipes/` of the repository or of the package, without parsing any. */
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The endings that a recipe file may have; the first is the usual one. */
export const RECIPE_ENDINGS: readonly string[] = ['.yaml', '.yml'];

/**
 * The folder that bare recipe names are looked up in. A published package holds its own, two folders up from
 * `dist/recipes`; in the repository it is four folders up from `src/recipes` as from `dist/recipes`.
 */
export function recipesFolder(): string {
  const published = fileURLToPath(new URL('../../recipes', import.meta.url));
  return existsSync(published) ? published : fileURLToPath(new URL('../../../../recipes', import.meta.url));
}

/** Names of the recipes in a folder, sorted; none when there is no such folder. */
export function recipeNames(folder: string = recipesFolder()): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.yaml'))
      .map((entry) => entry.name.slice(0, -'.yaml'.length))
      .sort();
  } catch {
    // Listing is a help in messages only; what is wrong with the folder shows when a recipe is read.
    return [];
  }
}
