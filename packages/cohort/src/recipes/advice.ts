/** What is allowed in a recipe and yet probably not meant: told as warnings before training. */
import { methodFacts } from '../methods/registry.ts';
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
  if (methodFacts(recipe.method.name)?.isSelfSupervised === true && !variesViews(recipe)) {
    advice.push(
      `data.augmentation is off, so the two views of an image are the same and method ${recipe.method.name} learns nothing from them. Set at least resizedCrop and colourJitter.`,
    );
  }
  return advice;
}

function contrastsInBatch({ method }: ResolvedRecipe): boolean {
  return method.name === 'mcl' ? method.memory === null : method.name === 'l-mcl';
}

function variesViews({ data }: ResolvedRecipe): boolean {
  const { cropPadding, resizedCrop, randAugment, colourJitter, erasing, greyscale, blur } = data.augmentation;
  const sections = [resizedCrop, randAugment, colourJitter, erasing, greyscale, blur];
  return cropPadding > 0 || sections.some((section) => section !== null);
}
