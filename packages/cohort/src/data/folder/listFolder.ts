/** Lists a folder of images: one sub-folder a class, with or without folders for train, validation and test around them. */
import { DataError } from '../errors.ts';
import {
  completeListing,
  countOf,
  firstNames,
  splitNamed,
  type ImageListing,
  type ListedImage,
  type SplitName,
} from './listing.ts';
import { FolderWalker, type FolderEntry } from './walk.ts';

/** One folder whose sub-folders are classes. */
interface SplitFolder {
  readonly split: SplitName | null;
  readonly entries: readonly FolderEntry[];
  /** Inside of the root; empty for the root itself. */
  readonly name: string;
}

/**
 * Lists the images of a folder. A folder inside of a class belongs to the class. `train/` (or `training/`) with folders in
 * it makes the layout one with splits; a folder `train/` that holds images itself is a class like any other.
 * @throws {@link DataError} `missing`, `unreadable`, `empty` (no images at all), `format` (no class folders).
 */
export async function listFolder(root: string, signal?: AbortSignal): Promise<ImageListing> {
  const walker = await FolderWalker.open(root, signal);
  const notices: string[] = [];
  const splits = await findSplits(walker, notices);
  const listed: ListedImage[] = [];
  const spellings = new Map<string, Set<string>>();
  const loose: string[] = [];
  const empty: string[] = [];
  for (const { split, entries, name: splitName } of splits) {
    for (const { name, path, isFolder } of entries) {
      if (!isFolder) {
        loose.push(walker.nameOf(path));
        continue;
      }
      const images = await walker.images(path);
      if (images.length === 0) {
        empty.push(splitName === '' ? name : `${splitName}/${name}`);
        continue;
      }
      const className = name.normalize('NFC');
      spellings.set(className, (spellings.get(className) ?? new Set()).add(name));
      for (const image of images) listed.push({ name: walker.nameOf(image), path: image, className, split });
    }
  }
  if (listed.length === 0) throw nothingFound(root, loose, walker.notices());
  const twice = [...spellings].filter(([, names]) => names.size > 1).map(([name]) => name);
  if (twice.length > 0) {
    notices.push(
      `folders whose names differ only in how letters are composed are one class: ${firstNames(twice)}`,
    );
  }
  if (loose.length > 0) {
    notices.push(`ignored, in no class folder: ${countOf(loose.length, 'image')} (${firstNames(loose)})`);
  }
  if (empty.length > 0) {
    notices.push(`ignored, without images: ${countOf(empty.length, 'folder')} (${firstNames(empty)})`);
  }
  return completeListing(root, listed, [...notices, ...walker.notices()], signal);
}

async function findSplits(walker: FolderWalker, notices: string[]): Promise<SplitFolder[]> {
  const top = await walker.entries(walker.root);
  const named = top.flatMap((entry) => {
    const split = entry.isFolder ? splitNamed(entry.name) : undefined;
    return split === undefined ? [] : [{ entry, split }];
  });
  const splits: SplitFolder[] = [];
  for (const { entry, split } of named) {
    splits.push({ split, entries: await walker.entries(entry.path), name: entry.name });
  }
  const hasClasses = (folder: SplitFolder): boolean => folder.entries.some(({ isFolder }) => isFolder);
  if (!splits.some((folder) => folder.split === 'train' && hasClasses(folder))) {
    return [{ split: null, entries: top, name: '' }];
  }
  const others = top.filter(({ path }) => !named.some(({ entry }) => entry.path === path));
  if (others.length > 0) {
    const names = others.map(({ name }) => name);
    notices.push(`ignored beside train: ${firstNames(names)}`);
  }
  const flat = splits.filter((folder) => !hasClasses(folder));
  if (flat.length > 0) {
    const names = flat.map(({ name }) => name);
    notices.push(`ignored, since they have no class folders: ${firstNames(names)}`);
  }
  return splits.filter(hasClasses);
}

function nothingFound(root: string, loose: readonly string[], passedBy: readonly string[]): DataError {
  const operation = `listing the images of ${root}`;
  const seen = passedBy.length === 0 ? '' : ` (${passedBy.join('; ')})`;
  if (loose.length > 0) {
    return new DataError('format', {
      operation,
      expected: 'one sub-folder a class with the images of that class',
      received: `${countOf(loose.length, 'image')} right in the folder and none in sub-folders${seen}`,
      remedy: 'Sort the images into one folder a class, or give a CSV file with the columns path,label.',
      path: root,
    });
  }
  return new DataError('empty', {
    operation,
    expected: 'images (JPEG, PNG, WebP, GIF, TIFF, AVIF, SVG) in one sub-folder a class',
    received: `none${seen}`,
    remedy: 'Check data.path.',
    path: root,
  });
}
