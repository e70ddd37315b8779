/** Opens a folder of annotated images in whatever form it has. */
import { basename, dirname, join } from 'node:path';
import { AnnotationError } from '../errors.ts';
import {
  Problems,
  type AnnotatedData,
  type AnnotatedImage,
  type AnnotatedSplitName,
  type AnnotationForm,
} from './annotated.ts';
import { readCoco, type CocoFile } from './coco.ts';
import { entriesOf, imageSize, isFile, isFolder } from './files.ts';
import { findMaskFolders, pairMasks, readClassNames, type MaskPair } from './maskFolder.ts';
import { hasVocInstances, readVocInstances, vocNames, withMasks } from './instances.ts';
import { isVocFolder, listVocMasks, readVoc } from './voc.ts';
import { findYoloFile, readYolo } from './yolo.ts';

/** How annotations are opened. */
export interface OpenOptions {
  /** The form; found by looking unless given. */
  readonly form?: AnnotationForm | null;
  /** What is wanted of the images: boxes, boxes with the masks that there are, a mask for every object, or a class for every pixel. */
  readonly wanted: 'boxes' | 'objects' | 'masks' | 'pixels';
  /** Class names, in place of those that the source has. */
  readonly classes?: readonly string[] | null;
}

const splitWords: readonly [AnnotatedSplitName, RegExp][] = [
  ['train', /train/i],
  ['validation', /val/i],
  ['test', /test/i],
];

/**
 * Opens it.
 *
 * @throws {AnnotationError} where nothing that is wanted is found; single annotations that cannot be used are in `problems`
 */
export async function openAnnotations(path: string, options: OpenOptions): Promise<AnnotatedData> {
  const problems = new Problems();
  const { wanted, form = null } = options;
  const isPossible = (each: AnnotationForm): boolean => form === null || form === each;
  const data =
    wanted === 'pixels'
      ? isPossible('masks') || form === 'voc'
        ? await openMasks(path, options, problems)
        : null
      : ((isPossible('coco') ? await openCoco(path, options, problems) : null) ??
        (isPossible('voc') ? await openVoc(path, options, problems) : null) ??
        (isPossible('yolo') ? await openYolo(path, options, problems) : null));
  if (data === null) throw nothingFound(path, wanted);
  checkImages(data, path);
  return wanted === 'masks' ? withMasks(data, path) : data;
}

/** @throws {AnnotationError} where no image can be used */
function checkImages(data: AnnotatedData, path: string): void {
  const { problems } = data;
  const images = Object.values(data.splits).reduce((sum, split) => sum + split.length, 0);
  if (images === 0) {
    throw new AnnotationError(
      `No image of ${path} can be used${problems.hasSevere ? `:\n  ${problems.lines().join('\n  ')}` : '.'}`,
      'Check the paths in the annotations.',
    );
  }
}

function nothingFound(path: string, wanted: OpenOptions['wanted']): AnnotationError {
  const forms =
    wanted === 'pixels'
      ? 'images/ and masks/ (PNG of class numbers), train/ and train-labels/, or JPEGImages/ and SegmentationClass/'
      : "COCO's JSON, JPEGImages/ and Annotations/ of Pascal VOC, or YOLO's data.yaml with images/ and labels/";
  return new AnnotationError(
    isFolder(path) || isFile(path)
      ? `No annotations were found in ${path}.`
      : `There is no folder or file ${path}.`,
    `Expected ${forms}.`,
  );
}

async function openCoco(
  path: string,
  options: OpenOptions,
  problems: Problems,
): Promise<AnnotatedData | null> {
  const files = isFile(path) && path.endsWith('.json') ? [path] : findCocoFiles(path);
  if (files.length === 0) return null;
  const read: [AnnotatedSplitName, CocoFile][] = [];
  for (const file of files) {
    const [split] = splitWords.find(
      ([, word]) => word.test(basename(file)) || word.test(basename(dirname(file))),
    ) ?? ['train'];
    if (read.some(([other]) => other === split)) {
      throw new AnnotationError(
        `${path} has more than one COCO file for ${split}: ${files.map((each) => basename(each)).join(', ')}.`,
        'Name them instances_train.json, instances_val.json and instances_test.json, or give the path of one.',
      );
    }
    const folder = dirname(file);
    const above = dirname(folder);
    const stem = basename(file, '.json').replace(/^(instances|person_keypoints|_?annotations)[_.-]?/, '');
    const imageFolders = [folder, above].flatMap((root) => [
      root,
      join(root, 'images'),
      join(root, stem),
      join(root, 'images', stem),
    ]);
    read.push([
      split,
      await readCoco(file, { imageFolders, problems, withMasks: options.wanted !== 'boxes' }),
    ]);
  }
  const [, first] = read[0] ?? [];
  if (first === undefined) return null;
  const others = read.find(([, { classes }]) => classes.join('\n') !== first.classes.join('\n'));
  if (others !== undefined) {
    throw new AnnotationError(
      `The COCO files of ${path} have different categories.`,
      'Give all splits the same list of categories.',
    );
  }
  return {
    form: 'coco',
    classes: first.classes,
    classIds: first.classIds,
    splits: Object.fromEntries(read.map(([split, { images }]) => [split, images])),
    problems,
  };
}

/** COCO files of a folder: `annotations/instances_*.json`, or one in the folder of each split, or in the folder itself. */
function findCocoFiles(root: string): string[] {
  const jsonOf = (folder: string): string[] =>
    entriesOf(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(folder, name));
  const listed = jsonOf(join(root, 'annotations'));
  const instances = listed.filter((path) => basename(path).startsWith('instances'));
  if (instances.length > 0) return instances;
  if (listed.length > 0) return listed;
  const perSplit = ['train', 'valid', 'val', 'test'].flatMap((name) =>
    jsonOf(join(root, name)).filter((path) => /coco|annotations|instances/.test(basename(path))),
  );
  if (perSplit.length > 0) return perSplit;
  return jsonOf(root).filter((path) => /coco|annotations|instances/i.test(basename(path)));
}

async function openVoc(
  path: string,
  { classes = null, wanted }: OpenOptions,
  problems: Problems,
): Promise<AnnotatedData | null> {
  if (wanted === 'masks' && hasVocInstances(path)) {
    const names = classes === null ? ((await readClassNames(path)) ?? vocNames) : ['background', ...classes];
    return { form: 'voc', ...(await readVocInstances(path, names, problems)), problems };
  }
  if (!isVocFolder(path)) return null;
  return { form: 'voc', ...(await readVoc(path, { classes, problems })), problems };
}

async function openYolo(
  path: string,
  { wanted }: OpenOptions,
  problems: Problems,
): Promise<AnnotatedData | null> {
  const file = isFile(path) && /\.ya?ml$/.test(path) ? path : findYoloFile(path);
  if (file === null) return null;
  return { form: 'yolo', ...(await readYolo(file, { problems, withMasks: wanted !== 'boxes' })), problems };
}

async function openMasks(
  path: string,
  { classes = null, form }: OpenOptions,
  problems: Problems,
): Promise<AnnotatedData | null> {
  const voc = await listVocMasks(path, problems);
  const folders = voc === null && form !== 'voc' ? findMaskFolders(path) : null;
  if (voc === null && folders === null) return null;
  const pairs: [AnnotatedSplitName, MaskPair[]][] =
    voc === null
      ? [...(folders ?? [])].map(([split, folder]) => [split, pairMasks(folder, problems)])
      : [...voc];
  const splits: Partial<Record<AnnotatedSplitName, AnnotatedImage[]>> = {};
  for (const [split, listed] of pairs) {
    const images: AnnotatedImage[] = [];
    for (const { file, maskFile } of listed) {
      const [size, maskSize] = [await imageSize(file), await imageSize(maskFile)];
      const unread = [size, maskSize].find((each) => 'problem' in each);
      if (unread !== undefined && 'problem' in unread) {
        problems.add('badFile', `${basename('problem' in size ? file : maskFile)} (${unread.problem})`);
      } else if ('height' in size && 'height' in maskSize) {
        if (size.height === maskSize.height && size.width === maskSize.width) {
          images.push({ file, name: basename(file), ...size, objects: [], maskFile });
        } else {
          problems.add(
            'maskSize',
            `${basename(maskFile)} (${maskSize.width} by ${maskSize.height} for ${size.width} by ${size.height})`,
          );
        }
      }
    }
    splits[split] = images;
  }
  const names = classes ?? (await readClassNames(path)) ?? (voc === null ? null : vocNames);
  if (names === null) {
    throw new AnnotationError(
      `The masks of ${path} have class numbers, but nothing says what they are called.`,
      'Write the names into classes.txt in that folder, a line each from class 0 on, or set task.classes in the recipe.',
    );
  }
  return { form: voc === null ? 'masks' : 'voc', classes: names, splits, problems };
}
