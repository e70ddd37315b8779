/** The datasets that are made of image files, as the registry lists them; what loads them is imported only when it is used. */
import type { DatasetAbout } from '../about.ts';
import type { DatasetEntry } from '../dataset.ts';
import type { PixelSource } from '../loading/pixelSource.ts';
import { datasetPlaces } from '../places.ts';

/** A folder with one sub-folder a class, with or without folders for splits around them; or a CSV of path,label[,split]. */
export const folder: DatasetEntry<PixelSource> = {
  name: 'folder',
  needsPath: true,
  load: async (options) => (await import('./folderDataset.ts')).loadFolder(options),
};

/** Every picture of a folder in any nesting, for methods that learn without labels. */
export const unlabelled: DatasetEntry<PixelSource> = {
  name: 'unlabelled',
  needsPath: true,
  load: async (options) => (await import('./unlabelledDataset.ts')).loadUnlabelled(options),
};

const aboutImagenet: DatasetAbout = {
  title: 'ImageNet (ILSVRC 2012)',
  licence: 'research only, after registration',
  homepage: 'https://www.image-net.org/',
  classes: 1000,
  shape: { channels: 3, height: 224, width: 224 },
  trainImages: 1_281_167,
  testImages: 50_000,
  folder: 'imagenet',
  origin: {
    kind: 'manual',
    instructions:
      'Its site gives it to registered users: get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://www.image-net.org/, unpack them to train/<wnid>/ and val/, with the labels of val/ beside it, and set data.path=FOLDER, or put it at $COHORT_DATA/imagenet.',
  },
};

/** ImageNet (ILSVRC 2012) as it is unpacked: `train/<wnid>/`, and `val/` in such folders too or flat with a file of labels. */
export const imagenet: DatasetEntry<PixelSource> = {
  name: 'imagenet',
  about: aboutImagenet,
  find: async (options) =>
    (await import('./layout/listImagenet.ts')).findImagenet(datasetPlaces(aboutImagenet.folder, options)),
  load: async (options) => (await import('./folderDataset.ts')).loadImagenet(options),
};
