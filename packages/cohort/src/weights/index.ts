/** Weights from files of others: safetensors and PyTorch checkpoints, fitted to networks by name and shape. */
export {
  assertFits,
  chooseFit,
  describePlace,
  listNames,
  missingDictionary,
  type FitOptions,
} from './chooseFit.ts';
export { classNamesInMetadata, rowsByName } from './classNames.ts';
export { copyWeights, type ClassRows } from './copyWeights.ts';
export { WeightsError, type WeightsErrorKind, type WeightsProblem } from './errors.ts';
export { targetOf, type Fit, type Target } from './fit.ts';
export type { NameRule } from './names.ts';
export {
  findOffered,
  listOffered,
  OFFERED_PREFIX,
  offeredPath,
  portableWeights,
  weightsPath,
  type OfferedWeights,
} from './offered.ts';
export { suggestModels } from './suggest.ts';
export { openWeights, type StoredTensor, type TensorDictionary, type WeightsFile } from './weightsFile.ts';
