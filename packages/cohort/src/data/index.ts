/** Everything that feeds networks: datasets by name, subsets, statistics, augmentation, samplers, batches and image decoding. */
export * from './about.ts';
export * from './augment/index.ts';
export * from './batches.ts';
export * from './checkDataset.ts';
export * from './dataset.ts';
export * from './datasets/fashionMnist.ts';
export * from './decodeImage.ts';
export { DataError, type DataErrorDetails, type DataErrorKind } from './errors.ts';
export { fetchDataset, type FetchOptions, type FetchResult } from './fetch/fetchDataset.ts';
export * from './formats/idx.ts';
export * from './formats/idxDataset.ts';
export * from './listDatasets.ts';
export * from './normalisation.ts';
export * from './normaliseBatch.ts';
export * from './registry.ts';
export * from './samplers/index.ts';
export * from './subset.ts';
export * from './validation.ts';
