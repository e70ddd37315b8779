/** Names of the architectures, apart from their code, so that checking a recipe never loads the engine. */

/**
 * Every architecture, family by family, those for images of about 32 by 32 pixels first; `registry.ts` must build
 * exactly these.
 */
export const architectureNames = [
  'resnet8',
  'resnet14',
  'resnet20',
  'resnet32',
  'resnet44',
  'resnet56',
  'resnet110',
  'wrn-16-2',
  'wrn-40-2',
  'wrn-28-4',
  'shufflenetv2-0.5x',
  'shufflenetv2-1x',
  'hcgnet-a1',
  'hcgnet-a2',
  'mobilenetv2',
  'vgg16-bn',
  'densenet-40-12',
  'imagenet-resnet18',
  'imagenet-resnet34',
  'imagenet-resnet50',
  'imagenet-shufflenetv2-0.5x',
  'imagenet-shufflenetv2-1x',
  'imagenet-mobilenetv2',
] as const;

/** Name of an architecture. */
export type ModelName = (typeof architectureNames)[number];

/** Side of the square images that architectures were designed for; of several, the largest. */
export function designSizeOf(models: readonly ModelName[]): 32 | 224 {
  return models.some((model) => model.startsWith('imagenet-')) ? 224 : 32;
}
