/** Kuzushiji-MNIST (Clanuwat et al., arXiv 1812.01718): 70,000 handwritten Japanese characters of old books. */
import type { DatasetEntry } from '../dataset.ts';
import { idxDatasetEntry } from '../formats/idxDataset.ts';
import { MNIST_SHAPE, mnistDownload } from './mnistFiles.ts';

/** Kuzushiji-MNIST, by the readings of its ten hiragana. The pictures are one channel, white on black. */
export const kmnist: DatasetEntry = idxDatasetEntry({
  name: 'kmnist',
  classes: ['o', 'ki', 'su', 'tsu', 'na', 'ha', 'ma', 'ya', 're', 'wo'],
  innerFolders: ['KMNIST/raw', 'KMNIST', 'kmnist'],
  about: {
    title: 'Kuzushiji-MNIST',
    licence: 'CC BY-SA 4.0',
    homepage: 'http://codh.rois.ac.jp/kmnist/',
    classes: 10,
    shape: MNIST_SHAPE,
    trainImages: 60_000,
    testImages: 10_000,
    folder: 'kmnist',
    origin: mnistDownload(
      ['http://codh.rois.ac.jp/kmnist/dataset/kmnist'],
      [
        'bdb82020997e1d708af4cf47b453dcf7',
        'e144d726b3acfaa3e44228e80efcd344',
        '5c965bf0a639b31b8f53240b1b52f4d7',
        '7320c461ea6c1c855c0b718fb2a4b134',
      ],
      [18, 0.1, 3, 0.1],
    ),
  },
});
