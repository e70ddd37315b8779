/** Fashion-MNIST (Xiao et al., arXiv 1708.07747): 70,000 real 28x28 pictures of clothing, the dataset of the demo. */
import type { DatasetEntry } from '../dataset.ts';
import { idxDatasetEntry } from '../formats/idxDataset.ts';
import { MNIST_SHAPE, mnistDownload } from './mnistFiles.ts';

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

/** Fashion-MNIST. The pictures are one channel, white on black. */
export const fashionMnist: DatasetEntry = idxDatasetEntry({
  name: 'fashion-mnist',
  classes: FASHION_MNIST_CLASSES,
  innerFolders: ['FashionMNIST/raw', 'FashionMNIST', 'fashion-mnist', 'fashion'],
  about: {
    title: 'Fashion-MNIST',
    licence: 'MIT',
    homepage: 'https://github.com/zalandoresearch/fashion-mnist',
    classes: 10,
    shape: MNIST_SHAPE,
    trainImages: 60_000,
    testImages: 10_000,
    folder: 'fashion-mnist',
    systemFolder: FASHION_MNIST_SYSTEM_FOLDER,
    systemPackage: 'apt-get install dataset-fashion-mnist',
    origin: mnistDownload(
      ['http://fashion-mnist.s3-website.eu-central-1.amazonaws.com'],
      [
        '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
        '25c81989df183df01b3e8a0aad5dffbe',
        'bef4ecab320f06d8554ea6380940ec79',
        'bb300cfdad3c16e7a12a480ee83cd310',
      ],
      [26, 0.1, 4.4, 0.1],
    ),
  },
});
