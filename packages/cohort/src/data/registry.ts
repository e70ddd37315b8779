/** The datasets by name: a new one is one file and one line in the list below. Imports no engine, so that recipe checks stay fast. */
import type { DatasetEntry, DatasetOptions, ImageDataset } from './dataset.ts';
import type { ImagePixels } from './pixelSource.ts';
import { DataError } from './errors.ts';
import { fashionMnist } from './fashionMnist.ts';
import { folder, imagenet } from './folder/entries.ts';
import { nearestName } from '../nearestName.ts';

const DATASETS: readonly DatasetEntry<ImagePixels>[] = [fashionMnist, folder, imagenet];

/** Names that {@link loadDataset} knows, sorted. */
export function datasetNames(): string[] {
  return DATASETS.map((entry) => entry.name).sort();
}

/** Names of the datasets that have no usual place and need `data.path`. */
export function datasetsThatNeedPath(): string[] {
  return DATASETS.filter((entry) => entry.needsPath === true).map((entry) => entry.name);
}

/**
 * Loads a dataset by name.
 * @throws {@link DataError} `unknownDataset` listing the names and the nearest, and whatever its loader throws.
 */
export async function loadDataset(
  name: string,
  options: DatasetOptions = {},
): Promise<ImageDataset<ImagePixels>> {
  const entry = DATASETS.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const nearest = nearestName(name, datasetNames());
    throw new DataError('unknownDataset', {
      operation: 'loading a dataset',
      expected: `one of: ${datasetNames().join(', ')}`,
      received: `'${name}'`,
      remedy: nearest === null ? 'Set data.dataset to one of these.' : `Did you mean ${nearest}?`,
    });
  }
  return entry.load(options);
}
