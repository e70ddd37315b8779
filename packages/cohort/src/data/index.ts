/** Everything that feeds networks: datasets by name, subsets, statistics, augmentation, samplers, batches and image decoding. */
export * from './augment/index.ts';
export * from './batches.ts';
export * from './dataset.ts';
export * from './decodeImage.ts';
export { DataError, type DataErrorDetails, type DataErrorKind } from './errors.ts';
export * from './fashionMnist.ts';
export * from './idx.ts';
export * from './idxDataset.ts';
export { surveyImages, type ImageSurvey } from './folder/survey.ts';
export * from './normalisation.ts';
export * from './normaliseBatch.ts';
export type { ImagePixels, PixelSource } from './pixelSource.ts';
export * from './registry.ts';
export * from './samplers/index.ts';
export * from './subset.ts';
export * from './validation.ts';
