/** Lists ImageNet (ILSVRC 2012): `train/<wnid>/`, and `val/` in folders too, or flat with a file that says which class each is. */
import { join } from 'node:path';
import { DataError } from '../../errors.ts';
import { completeListing, countOf, naturalOrder, type ImageListing, type ListedImage } from '../listing.ts';
import { exists } from '../../places.ts';
import { readText } from '../tables/table.ts';
import { FolderWalker, type WalkOptions } from '../walk.ts';

/** Where `train/` lies below the folder given: as it is, as Kaggle packs it, and as its `ILSVRC` folder. */
const PLACES = ['.', 'ILSVRC/Data/CLS-LOC', 'Data/CLS-LOC'];
/** Files that name the class of each flat validation image: a wnid right after the image's name. */
const LABEL_FILES = [
  'LOC_val_solution.csv',
  'val_annotations.txt',
  'val_labels.csv',
  'val_labels.txt',
  'val.csv',
  'val.txt',
];
/** The development kit's: one number a line, in the order of the images. */
const GROUND_TRUTH = 'ILSVRC2012_validation_ground_truth.txt';
/** `n02119789 1 kit_fox`: wnid, and the number that it has in the ground truth. */
const NUMBERS = 'map_clsloc.txt';

/**
 * Lists ImageNet. The validation images are its test split, as everybody reports them.
 * @throws {@link DataError} `missing` where there is no `train/`, or a flat `val/` has no labels; `label` and `mismatch`
 *   for labels that do not fit.
 */
export async function listImagenet(root: string, options: WalkOptions = {}): Promise<ImageListing> {
  const base = await findBase(root);
  const walker = await FolderWalker.open(base, options);
  const train = await classFolders(walker, join(walker.root, 'train'), 'train');
  if (train.length === 0) {
    throw new DataError('empty', {
      operation: `listing ImageNet in ${base}`,
      expected: 'images in train/<wnid>/',
      received: 'none',
      remedy: 'Unpack ILSVRC2012_img_train.tar and each archive inside of it into a folder of its name.',
      path: join(base, 'train'),
    });
  }
  const known = new Set(train.map((image) => image.className));
  const validation = join(walker.root, 'val');
  const inFolders = await classFolders(walker, validation, 'test');
  const test =
    inFolders.length > 0 ? inFolders : await flatValidation(walker, validation, [root, base], known);
  const listed = [...train, ...test];
  const remarks = { ...walker.passedBy(listed.length), broken: walker.unreadable };
  return completeListing(root, listed, remarks, options.signal);
}

/** The first of several places that has `train/`; null where none does. */
export async function findImagenet(places: readonly string[]): Promise<string | null> {
  for (const place of places) if ((await baseOf(place)) !== null) return place;
  return null;
}

async function baseOf(root: string): Promise<string | null> {
  for (const place of PLACES) {
    const base = join(root, place);
    if (await exists(join(base, 'train'))) return base;
  }
  return null;
}

async function findBase(root: string): Promise<string> {
  const base = await baseOf(root);
  if (base !== null) return base;
  throw new DataError('missing', {
    operation: `listing ImageNet in ${root}`,
    expected: 'the folders train/ and val/',
    received: 'no train/ there, nor in ILSVRC/Data/CLS-LOC',
    remedy: 'Set data.path to the folder that has them, or put it at $COHORT_DATA/imagenet.',
    path: root,
  });
}

async function classFolders(
  walker: FolderWalker,
  folder: string,
  split: 'train' | 'test',
): Promise<ListedImage[]> {
  if (!(await exists(folder))) return [];
  const listed: ListedImage[] = [];
  for (const { name, path, isFolder } of await walker.entries(folder)) {
    if (!isFolder) continue;
    for (const image of await walker.images(path)) {
      listed.push({ name: walker.nameOf(image), path: image, className: name.normalize('NFC'), split });
    }
  }
  return listed;
}

async function flatValidation(
  walker: FolderWalker,
  folder: string,
  places: readonly string[],
  known: ReadonlySet<string>,
): Promise<ListedImage[]> {
  if (!(await exists(folder))) return [];
  const entries = await walker.entries(folder);
  const images = entries
    .filter(({ isFolder }) => !isFolder)
    .sort((left, right) => naturalOrder(left.name, right.name));
  if (images.length === 0) return [];
  const folders = [...places, folder, ...places.map((place) => join(place, 'ILSVRC2012_devkit_t12/data'))];
  const labels =
    (await readLabelFile(folders)) ??
    (await readGroundTruth(
      folders,
      images.map(({ name }) => name),
    ));
  if (labels === null) {
    throw new DataError('missing', {
      operation: `listing ImageNet's validation images in ${folder}`,
      expected: `folders of classes, or one of ${[...LABEL_FILES.slice(0, 3), `${GROUND_TRUTH} with ${NUMBERS}`].join(', ')} beside them`,
      received: `${countOf(images.length, 'image')} without labels`,
      remedy: 'Put the file with their labels next to val/, or sort the images into folders.',
      path: folder,
    });
  }
  return images.map(({ name, path }): ListedImage => {
    const className = labels.get(stem(name));
    if (className === undefined || !known.has(className)) {
      throw new DataError('label', {
        operation: `listing ImageNet's validation images in ${folder}`,
        expected: 'a class of train/ for every image',
        received: `${className === undefined ? 'none' : `'${className}'`} for ${name}`,
        remedy: 'Use labels and images of the same release.',
        path,
      });
    }
    return { name: walker.nameOf(path), path, className, split: 'test' };
  });
}

/** Image to wnid from lines such as `ILSVRC2012_val_00000001.JPEG n01751748 ...`, with spaces, tabs or commas. */
async function readLabelFile(folders: readonly string[]): Promise<Map<string, string> | null> {
  const path = await firstExisting(folders, LABEL_FILES);
  if (path === null) return null;
  const lines = (await readText(path, 'reading labels')).split(/\r?\n/);
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const [image = '', className = ''] = line.trim().split(/[\s,]+/);
      return image === '' || className === '' ? [] : [[stem(image), className]];
    }),
  );
}

async function readGroundTruth(
  folders: readonly string[],
  images: readonly string[],
): Promise<Map<string, string> | null> {
  const truthPath = await firstExisting(folders, [GROUND_TRUTH]);
  const numbersPath = await firstExisting(folders, [NUMBERS]);
  if (truthPath === null || numbersPath === null) return null;
  const truth = (await readText(truthPath, 'reading labels')).trim().split(/\s+/);
  const lines = (await readText(numbersPath, 'reading class numbers')).trim().split(/\r?\n/);
  const wnids = new Map(
    lines.map((line): [string, string] => {
      const [wnid = '', number = ''] = line.split(/\s+/);
      return [number, wnid];
    }),
  );
  if (truth.length !== images.length) {
    throw new DataError('mismatch', {
      operation: `reading labels ${truthPath}`,
      expected: `one line for each of the ${images.length} validation images`,
      received: `${truth.length}`,
      remedy: 'Use labels and images of the same release, all of them.',
      path: truthPath,
    });
  }
  return new Map(images.map((image, index) => [stem(image), wnids.get(truth[index] ?? '') ?? '']));
}

function stem(name: string): string {
  return name.replace(/^.*[/\\]/, '').replace(/\.[^.]*$/, '');
}

async function firstExisting(folders: readonly string[], names: readonly string[]): Promise<string | null> {
  for (const folder of folders) {
    for (const name of names) if (await exists(join(folder, name))) return join(folder, name);
  }
  return null;
}
