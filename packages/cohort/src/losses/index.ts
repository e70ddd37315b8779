/** Losses: pure tensor functions. */
export { discrimination, fooling } from './adversarial.ts';
export { balancedWeights, priorOffsets, type BalanceRule } from './classBalance.ts';
export {
  classification,
  classificationWith,
  dominantLabels,
  type Classification,
  type ClassificationOptions,
  type MixedLabels,
} from './classification.ts';
export { errorProducts, linearTarget, minLogitTarget, naiveTarget, weightedTarget } from './collaborative.ts';
export {
  contrastiveLoss,
  mutualContrast,
  similarities,
  type ContrastOptions,
  type ContrastTerms,
} from './contrast.ts';
export { crossStageDistillation, type CrossStageTerms } from './crossStage.ts';
export { logitDistillation, softDivergence, targetDistillation } from './distillation.ts';
export { attendedDistillation, peerAttention } from './diversePeers.ts';
export { ensembleWeights } from './ensembleWeights.ts';
export { LossError } from './errors.ts';
export { gatedEnsemble } from './gatedEnsemble.ts';
export { layerwiseContrast, termsCounted, weightsAcross } from './layerwise.ts';
export { memoryContrast, updateBank, type ContrastSamples } from './memoryContrast.ts';
export { meansOfDivergences, meansOfOthers, mutualDistillation, pairedDistillation } from './mutual.ts';
export { momentumContrast, queueContrast, type QueueContrastInput } from './queueContrast.ts';
export { rampUp } from './rampUp.ts';
export { distillationGap, type DistillationGap } from './switching.ts';
