/** Names of the architectures, apart from their code, so that checking a recipe never loads the engine. */

/** Every architecture, smallest first; `registry.ts` must build exactly these. */
export const architectureNames = [
  'resnet8',
  'resnet14',
  'resnet20',
  'resnet32',
  'resnet44',
  'resnet56',
  'resnet110',
] as const;

/** Name of an architecture. */
export type ModelName = (typeof architectureNames)[number];
