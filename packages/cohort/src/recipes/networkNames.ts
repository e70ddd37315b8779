/** What the networks of a recipe are called in tables and files. */
import type { ResolvedRecipe } from './index.ts';

/** Names for tables and files: `resnet8-1`, `resnet8-2`, `resnet20`. */
export function networkNames(recipe: Pick<ResolvedRecipe, 'networks'>): string[] {
  const models = recipe.networks.map(({ model }) => model);
  return models.map((model, index) => {
    const isSingle = models.indexOf(model) === models.lastIndexOf(model);
    const number = models.slice(0, index + 1).filter((other) => other === model).length;
    return isSingle ? model : `${model}-${number}`;
  });
}
