/** Fixtures for this folder's tests: a recipe that says only what it must, and the problems of one that is wrong. */
import { RecipeError } from './errors.ts';
import type { RecipeInput } from './schema.ts';
import { resolveRecipe } from './validate.ts';

/** Everything that a recipe has to say. */
export const minimal: RecipeInput = {
  name: 'small',
  data: { dataset: 'fashion-mnist' },
  networks: [{ model: 'resnet8' }, { model: 'resnet20' }],
  method: { name: 'mcl' },
  train: { epochs: 10 },
};

/** The {@link RecipeError} that `action` throws. */
export function errorOf(action: () => unknown): RecipeError {
  try {
    action();
  } catch (error) {
    if (error instanceof RecipeError) return error;
    throw error;
  }
  throw new Error('expected a RecipeError, nothing was thrown');
}

/** Every problem as `path: message`. */
export function problemsOf(data: unknown): string[] {
  return errorOf(() => resolveRecipe(data)).problems.map(({ path, message }) => `${path}: ${message}`);
}
