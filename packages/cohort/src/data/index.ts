/** Everything that feeds networks: datasets by name, subsets, statistics, augmentation, samplers, batches and image decoding. */
export { type Batch, BatchLoader, type Batches } from './loading/batches.ts';
export {
  type DatasetOptions,
  type ImageDataset,
  type ImageFile,
  type ImageFit,
  type ImageShape,
  type ImageSplit,
  checkSplit,
  imageBytes,
} from './dataset.ts';
export { IMAGE_RESIZE, decodeImage } from './loading/decodeImage.ts';
export { DataError, type DataErrorDetails, type DataErrorKind } from './errors.ts';
export { fetchDataset, type FetchOptions, type FetchResult } from './fetch/fetchDataset.ts';
export { surveyImages, type ImageSurvey } from './folder/survey.ts';
export { type Normalisation, splitStatistics } from './loading/normalisation.ts';
export { BatchNormaliser } from './loading/normaliseBatch.ts';
export type { ImagePixels, PixelSource } from './loading/pixelSource.ts';
export { datasetEntry, datasetNames, loadDataset } from './registry.ts';
export { stratifiedSubset } from './loading/subset.ts';
export { splitValidation } from './loading/validation.ts';
