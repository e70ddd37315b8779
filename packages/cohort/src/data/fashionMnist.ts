/** Fashion-MNIST (Xiao et al., arXiv 1708.07747): 70,000 real 28x28 pictures of clothing, the dataset of the demo. */
import { join } from 'node:path';
import type { DatasetEntry } from './dataset.ts';
import { loadIdxDataset } from './idxDataset.ts';

/** Where Debian's package `dataset-fashion-mnist` puts the files. */
export const FASHION_MNIST_SYSTEM_FOLDER = '/usr/share/datasets/fashion-mnist';

/** Class names in the order of the labels. */
export const FASHION_MNIST_CLASSES: readonly string[] = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/**
 * Fashion-MNIST from `path`, or else from `$COHORT_DATA/fashion-mnist`, or else from Debian's folder. The pictures are
 * one channel, white on black.
 */
export const fashionMnist: DatasetEntry = {
  name: 'fashion-mnist',
  load: (options) => {
    const dataFolder = (options.environment ?? process.env).COHORT_DATA;
    return loadIdxDataset(
      {
        name: 'fashion-mnist',
        classes: FASHION_MNIST_CLASSES,
        height: 28,
        width: 28,
        usualFolders: [
          ...(dataFolder === undefined || dataFolder === '' ? [] : [join(dataFolder, 'fashion-mnist')]),
          FASHION_MNIST_SYSTEM_FOLDER,
        ],
        remedyWhenMissing:
          'Install it (apt-get install dataset-fashion-mnist) or say where the four files are: data.path=FOLDER.',
      },
      options,
    );
  },
};
