/** Names that a recipe may use for models, kept apart from the model code so that checking a recipe never loads the engine. */

/** Architectures of `src/models`; its registry must hold exactly these. */
const MODEL_NAMES = [
  'resnet8',
  'resnet14',
  'resnet20',
  'resnet32',
  'resnet44',
  'resnet56',
  'resnet110',
] as const;

/** Names of the models, smallest first. */
export function recipeModelNames(): string[] {
  return [...MODEL_NAMES];
}
