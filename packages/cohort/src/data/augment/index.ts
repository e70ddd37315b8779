/** Augmentation: how training images are varied, whole batches at a time. */
export { Augmenter } from './augmenter.ts';
export type { DrawKeys } from './draws.ts';
export {
  augmentationConflicts,
  augmentationSettings,
  type AugmentationConflict,
  type AugmentationOptions,
  type AugmentationSettings,
} from './settings.ts';
