/** The datasets by name: a new one is its own file and one line in the list below, or registered by the program that brings it. */
import type { DatasetEntry, DatasetOptions, ImageDataset } from './dataset.ts';
import type { ImagePixels } from './loading/pixelSource.ts';
import { DataError } from './errors.ts';
import { cifar10, cifar100, cifar100Coarse } from './datasets/cifar.ts';
import { emoji } from './datasets/emoji.ts';
import { emnist } from './datasets/emnist.ts';
import { fashionMnist } from './datasets/fashionMnist.ts';
import { folder, imagenet, unlabelled } from './folder/entries.ts';
import { kmnist } from './datasets/kmnist.ts';
import { mnist } from './datasets/mnist.ts';
import { stl10 } from './datasets/stl10.ts';
import { tinyImagenet } from './datasets/tinyImagenet.ts';
import { nearestName } from '../support/nearestName.ts';
import { Registry } from '../support/registry.ts';

const datasets = new Registry<DatasetEntry<ImagePixels>>('dataset', [
  cifar10,
  cifar100,
  cifar100Coarse,
  ...emnist,
  ...emoji,
  fashionMnist,
  folder,
  imagenet,
  kmnist,
  mnist,
  stl10,
  tinyImagenet,
  unlabelled,
]);

/**
 * Adds a dataset, so that recipes can name it; call it before they are read. See docs/extending.md.
 *
 * @throws {RangeError} for a name that is taken
 */
export function registerDataset(entry: DatasetEntry<ImagePixels>): void {
  datasets.add(entry);
}

/** All datasets in no particular order; the same list until one is registered. */
export function datasetList(): readonly DatasetEntry<ImagePixels>[] {
  return datasets.entries;
}

/** Names that {@link loadDataset} knows, sorted. */
export function datasetNames(): string[] {
  return datasets.names.sort();
}

/** Names of the datasets that have no usual place and need `data.path`. */
export function datasetsThatNeedPath(): string[] {
  return datasets.entries.filter((entry) => entry.needsPath === true).map((entry) => entry.name);
}

/** Every dataset, sorted by name. */
export function datasetEntries(): DatasetEntry<ImagePixels>[] {
  return [...datasets.entries].sort((left, right) => (left.name < right.name ? -1 : 1));
}

/**
 * A dataset by name.
 * @throws {@link DataError} `unknownDataset` listing the names and the nearest.
 */
export function datasetEntry(name: string): DatasetEntry<ImagePixels> {
  const entry = datasets.find(name);
  if (entry !== undefined) return entry;
  const nearest = nearestName(name, datasetNames());
  throw new DataError('unknownDataset', {
    operation: 'choosing a dataset',
    expected: `one of ${datasetNames().join(', ')}`,
    received: `'${name}'`,
    remedy:
      nearest === null ? 'Choose one of these; cohort data list describes them.' : `Did you mean ${nearest}?`,
  });
}

/**
 * Loads a dataset by name.
 * @throws {@link DataError} as {@link datasetEntry}, and whatever its loader throws.
 */
export async function loadDataset(
  name: string,
  options: DatasetOptions = {},
): Promise<ImageDataset<ImagePixels>> {
  return datasetEntry(name).load(options);
}
