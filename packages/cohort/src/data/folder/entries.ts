/** The datasets that are made of image files, as the registry lists them; what loads them is imported only when it is used. */
import type { DatasetEntry } from '../dataset.ts';
import type { PixelSource } from '../pixelSource.ts';

/** Endings of tables of images; whatever else has a path is a folder. */
export const TABLE_ENDING = /\.[ct]sv$/i;

/** A folder with one sub-folder a class, with or without folders for splits around them; or a CSV of path,label[,split]. */
export const folder: DatasetEntry<PixelSource> = {
  name: 'folder',
  needsPath: true,
  load: async (options) => (await import('./folderDataset.ts')).loadFolder(options),
};

/** ImageNet (ILSVRC 2012) as it is unpacked: `train/<wnid>/`, and `val/` in such folders too or flat with a file of labels. */
export const imagenet: DatasetEntry<PixelSource> = {
  name: 'imagenet',
  load: async (options) => (await import('./folderDataset.ts')).loadImagenet(options),
};
