/** Losses: pure tensor functions. */
export { classification, dominantLabels, type MixedLabels } from './classification.ts';
export {
  contrastiveLoss,
  mutualContrast,
  similarities,
  type ContrastOptions,
  type ContrastTerms,
} from './contrast.ts';
export { logitDistillation, softDivergence, targetDistillation } from './distillation.ts';
export { LossError } from './errors.ts';
export { layerwiseContrast, termsCounted, weightsAcross } from './layerwise.ts';
export { memoryContrast, updateBank, type ContrastSamples } from './memoryBank.ts';
export { rampUp } from './rampUp.ts';
