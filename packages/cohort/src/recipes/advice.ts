/** What is allowed in a recipe and yet probably not meant: told as warnings before training. */
import type { ResolvedRecipe } from './schema.ts';

/** Warnings, each a sentence or two that names the setting. */
export function recipeAdvice(recipe: ResolvedRecipe): string[] {
  const { sampler } = recipe.data;
  const advice: string[] = [];
  if (sampler.name === 'class-balanced' && sampler.imagesPerClass === 1 && contrastsInBatch(recipe)) {
    advice.push(
      `data.sampler.imagesPerClass is 1, so few images in a batch share a class, and method ${recipe.method.name} learns from such pairs. Set it to 2 or more.`,
    );
  }
  return advice;
}

function contrastsInBatch({ method }: ResolvedRecipe): boolean {
  return method.name === 'mcl' ? method.memory === null : method.name === 'l-mcl';
}
