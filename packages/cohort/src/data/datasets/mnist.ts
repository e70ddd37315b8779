/** MNIST (LeCun et al. 1998): 70,000 handwritten digits. */
import type { DatasetEntry } from '../dataset.ts';
import { idxDatasetEntry } from '../formats/idxDataset.ts';
import { MNIST_SHAPE, mnistDownload } from './mnistFiles.ts';

/** MNIST. The pictures are one channel, white on black. */
export const mnist: DatasetEntry = idxDatasetEntry({
  name: 'mnist',
  classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  innerFolders: ['MNIST/raw', 'MNIST'],
  about: {
    title: 'MNIST handwritten digits',
    licence: 'CC BY-SA 3.0',
    homepage: 'http://yann.lecun.com/exdb/mnist/',
    classes: 10,
    shape: MNIST_SHAPE,
    trainImages: 60_000,
    testImages: 10_000,
    folder: 'mnist',
    origin: mnistDownload(
      // The authors' own page has been shut for years at a time; PyTorch keeps a copy.
      ['http://yann.lecun.com/exdb/mnist', 'https://ossci-datasets.s3.amazonaws.com/mnist'],
      [
        'f68b3c2dcbeaaa9fbdd348bbdeb94873',
        'd53e105ee54ea40749a09fcbcd1e9432',
        '9fb629c4189551a2d022fa330f9573f3',
        'ec29112dd5afa0611ce80d1b7f02629c',
      ],
      [9.9, 0.1, 1.6, 0.1],
    ),
  },
});
