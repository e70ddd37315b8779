/** Lists a folder of images: one sub-folder a class, with or without folders for train, validation and test around them. */
import { DataError } from '../../errors.ts';
import { fileNameHint } from './fileNameHint.ts';
import { folderAround } from './folderAround.ts';
import { readLayout } from './layout.ts';
import { completeListing, countOf, firstNames, type ImageListing, type ListedImage } from '../listing.ts';
import { tablesBeside } from '../sourceHints.ts';
import { FolderWalker, type ImageTree, type WalkOptions } from '../walk.ts';

/**
 * Lists the images of a folder, by the layout that {@link readLayout} finds. A folder inside of a class belongs to the class.
 * @throws {@link DataError} `missing`, `unreadable`, `empty` (no images at all), `format` (no class folders, or splits
 *   without any).
 */
export async function listFolder(root: string, options: WalkOptions = {}): Promise<ImageListing> {
  const walker = await FolderWalker.open(root, options);
  const tree = await walker.tree();
  const { notices, warnings } = walker.passedBy(tree.count);
  if (tree.folders.every(({ count }) => count === 0)) {
    throw await nothingFound(root, tree, [
      ...walker.unreadable.map(({ name, reason }) => `${name}: ${reason}`),
      ...warnings,
      ...notices,
    ]);
  }
  const source = root.replace(/(?<=.)[/\\]+$/, '');
  const layout = readLayout(tree, source, `${await tablesBeside(root)}${walker.archiveHint}`);
  const listed: ListedImage[] = [];
  const spellings = new Map<string, Set<string>>();
  for (const { split, classes } of layout.splits) {
    for (const { name, folder } of classes) {
      const className = name.normalize('NFC');
      spellings.set(className, (spellings.get(className) ?? new Set()).add(name));
      for (const path of allImages(folder)) {
        listed.push({ name: walker.nameOf(path), path, className, split });
      }
    }
  }
  const loose = layout.splits.flatMap((split) => split.loose.map((path) => walker.nameOf(path)));
  const empty = emptyFolders(tree).filter((name) => !walker.closed.has(name));
  const twice = [...spellings].filter(([, names]) => names.size > 1).map(([name]) => name);
  return completeListing(
    root,
    listed,
    {
      notices: [
        ...layout.notices,
        ...(twice.length > 0
          ? [
              `folders whose names differ only in how letters are composed are one class: ${firstNames(twice)}`,
            ]
          : []),
        ...(empty.length > 0
          ? [`ignored, without images: ${countOf(empty.length, 'folder')} (${firstNames(empty)})`]
          : []),
        ...notices,
      ],
      warnings: [
        ...layout.warnings,
        ...(loose.length > 0
          ? [`ignored, in no class folder: ${countOf(loose.length, 'image')} (${firstNames(loose)})`]
          : []),
        ...warnings,
      ],
      broken: walker.unreadable,
      hint: walker.archiveHint,
    },
    options.signal,
  );
}

function allImages({ images, folders }: ImageTree): string[] {
  return [...images, ...folders.flatMap(allImages)];
}

/** The outermost folders in which there is no image. */
function emptyFolders({ folders }: ImageTree): string[] {
  return folders.flatMap((folder) => (folder.count === 0 ? [folder.place] : emptyFolders(folder)));
}

async function nothingFound(
  root: string,
  { images }: ImageTree,
  passedBy: readonly string[],
): Promise<DataError> {
  const operation = `listing the images of ${root}`;
  const seen = passedBy.length === 0 ? '' : ` (${passedBy.join('; ')})`;
  if (images.length > 0) {
    const around = await folderAround(root);
    const whole =
      around === null ? '' : `If it is one class of several, give the folder around it: ${around}. `;
    return new DataError('format', {
      operation,
      expected: 'one sub-folder per class with the images of that class',
      received: `${countOf(images.length, 'image')} right in the folder and none in sub-folders${seen}`,
      remedy: `${whole}${fileNameHint(images)}${await tablesBeside(root)}Sort the images into one folder per class, or give a CSV file with the columns path,label.`,
      path: root,
    });
  }
  return new DataError('empty', {
    operation,
    expected: 'images (JPEG, PNG, WebP, GIF, TIFF, AVIF, SVG, BMP, PPM) in one sub-folder per class',
    received: `none${seen}`,
    remedy: passedBy.some((text) => text.startsWith('not unpacked'))
      ? 'Unpack the archives first, and check data.path.'
      : `${await tablesBeside(root)}Check the path.`,
    path: root,
  });
}
