/** Reads from a tree of folders which of them are splits and which are classes, or refuses where that would be a guess. */
import { DataError } from '../../errors.ts';
import { fileNameHint } from './fileNameHint.ts';
import { isPartName, joinParts, oddNames } from './parts.ts';
import { countOf, firstNames, naturalOrder } from '../listing.ts';
import { roleNamed, splitNamed, type NamedRole, type SplitName } from '../splitNames.ts';
import type { ImageTree } from '../walk.ts';

/** Folders whose sub-folders are classes, and what was noticed on the way to them. */
export interface Layout {
  readonly splits: readonly SplitFolder[];
  readonly notices: readonly string[];
  readonly warnings: readonly string[];
}

/** One folder whose sub-folders are classes; several may belong to one split. */
export interface SplitFolder {
  readonly split: SplitName | null;
  readonly classes: readonly ClassFolder[];
  /** Images that are in no class. */
  readonly loose: readonly string[];
}

/** The images of one class, or of its part in one split. */
export interface ClassFolder {
  readonly name: string;
  readonly folder: ImageTree;
}

/** A folder whose name speaks of a split. */
interface Named extends NamedRole {
  readonly folder: ImageTree;
}

/** Names that say nothing of what their images show: of segmentation sets, mostly. */
const GENERIC = new Set(
  'image images img imgs jpg jpeg png jpegimages picture pictures photo photos mask masks label labels annotation annotations groundtruth gt'.split(
    ' ',
  ),
);

/** Folders that an archive may wrap around everything. */
const DEEPEST_WRAPPING = 5;

/**
 * Finds splits and classes. Folders that name splits (`train`, `test_set`, `seg_train`, `Images val`) hold classes, are
 * ignored where they hold images only and others hold classes, and are refused where all of them hold images only. A
 * single folder around everything is passed through. Folders `train` and `test` inside of every class are splits too.
 * @param hint what else may help whoever gives splits without classes: a sentence and a blank
 * @throws {@link DataError} `format` where splits hold no classes, or names leave open what they mean
 */
export function readLayout(root: ImageTree, source: string, hint = ''): Layout {
  const notices: string[] = [];
  let folder = root;
  for (let depth = 0; depth < DEEPEST_WRAPPING; depth += 1) {
    const named = namedSplits(filled(folder), source);
    if (named.length > 0) {
      const layout = splitLayout({ folder, named, source, hint });
      if (layout !== null) return { ...layout, notices: [...notices, ...layout.notices] };
      break;
    }
    const labelled = labelledOnly(folder);
    if (labelled !== null) {
      notices.push(`ignored, without labels: the folders beside ${source}/${labelled.place}`);
      folder = labelled;
      continue;
    }
    const inner = wrapped(folder);
    if (inner === null) break;
    folder = inner;
    notices.splice(0, 1, `taken as the folder that holds everything: ${source}/${folder.place}`);
  }
  const layout =
    partsLayout(folder, source, hint) ?? splitsInClasses(folder, source) ?? classLayout(folder, source, hint);
  return { ...layout, notices: [...notices, ...layout.notices] };
}

/** Sub-folders that hold images, in natural order. */
function filled({ folders }: ImageTree): ImageTree[] {
  return folders.filter(({ count }) => count > 0).sort((left, right) => naturalOrder(left.name, right.name));
}

const hasClasses = (folder: ImageTree): boolean => filled(folder).length > 0;

/** The one folder that holds all images of another, where it holds folders of images itself; null for any other. */
function wrapped(folder: ImageTree): ImageTree | null {
  const [inner, ...others] = filled(folder);
  return inner !== undefined && others.length === 0 && folder.images.length === 0 && hasClasses(inner)
    ? inner
    : null;
}

/** The folder `labelled` beside one or more without labels, where it holds the classes; null where there is none. */
function labelledOnly(folder: ImageTree): ImageTree | null {
  const all = filled(folder);
  const [inner, ...others] = all.filter((one) => !hasNoLabels(one));
  const isLabelled = inner !== undefined && others.length === 0 && all.length > 1 && hasClasses(inner);
  return isLabelled && /^labell?ed/i.test(inner.name) ? inner : null;
}

/** The folders that name splits: by that name alone, or else with the same words beside it, as `seg_train` and `seg_test`. */
function namedSplits(folders: readonly ImageTree[], source: string): Named[] {
  const all = folders.flatMap((folder): Named[] => {
    const named = roleNamed(folder.name);
    return named === null ? [] : [{ ...named, folder }];
  });
  const exact = all.filter(({ rest, role }) => rest === '' && role !== 'unlabelled');
  if (exact.length > 0) return all.filter(({ rest }) => rest === '');
  const rests = [...new Set(all.map(({ rest }) => rest))].filter((rest) => {
    const roles = all.filter((each) => each.rest === rest).map(({ role }) => role);
    return new Set(roles).size > 1 && roles.some((role) => role !== 'unlabelled');
  });
  if (rests.length > 1) {
    throw new DataError('format', {
      operation: `listing the images of ${source}`,
      expected: 'one folder per split, with one folder per class inside of it',
      received: `folders that name a split and something else each: ${namesOf(all.map(({ folder }) => folder))}`,
      remedy:
        'Sort them into train/CLASS and test/CLASS, or write a table with the columns path,label,split.',
      path: source,
    });
  }
  return all.filter(({ rest }) => rest === rests[0]);
}

/** The layout with splits outside and classes inside; null where the one folder that seems a split is a class like others. */
function splitLayout(found: {
  readonly folder: ImageTree;
  readonly named: readonly Named[];
  readonly source: string;
  readonly hint: string;
}): Layout | null {
  const { folder, source, hint } = found;
  const named = found.named.map((each) => ({ ...each, folder: unwrap(each.folder) }));
  const isNamed = new Set(found.named.map((each) => each.folder));
  const others = filled(folder).filter((each) => !isNamed.has(each));
  const sorted = named.filter((each) => hasClasses(each.folder) && each.role !== 'unlabelled');
  const isOneSplit = new Set(named.map(({ role }) => role)).size === 1;
  if (sorted.length === 0) {
    const areParts = others.length > 0 && others.every(({ name }) => isPartName(name));
    if (isOneSplit && others.length > 0 && !areParts) return null;
    const parts = others.filter(({ name }) => isPartName(name));
    const all = [...parts.map((part): Named => ({ role: 'train', rest: '', folder: part })), ...found.named];
    throw flatSplits(all, source, hint);
  }
  if (isOneSplit && others.length > 0) {
    throw new DataError('format', {
      operation: `listing the images of ${source}`,
      expected: 'folders for splits, or folders for classes',
      received: `${found.named.map((each) => slashed(each.folder)).join(' and ')} with folders of images inside, beside ${namesOf(others)}, which may be classes`,
      remedy: `Give ${source}/${found.named[0]?.folder.place ?? ''} alone, move the others away, or rename the folder if it is a class.`,
      path: source,
    });
  }
  const flat = named.filter((each) => !sorted.includes(each));
  const outer = new Map(named.map((each, index) => [each, found.named[index]?.folder ?? each.folder]));
  const labelled = (each: Named): string => `${each.folder.place} (${countOf(each.folder.count, 'image')})`;
  const unwrapped = sorted.filter((each) => outer.get(each) !== each.folder);
  const flatTraining = flat.filter(({ role }) => role === 'train' || role === 'validation');
  const flatOthers = flat.filter((each) => !flatTraining.includes(each));
  const ignored = [
    ...others.map((each) => `${each.place} (${countOf(each.count, 'image')})`),
    ...folder.images.map((path) => path.replace(/^.*[/\\]/, '')),
  ];
  const parts = new Map(sorted.map((each) => [each, joinParts(filled(each.folder), source, hint)]));
  const classesIn = (each: Named): readonly ImageTree[] => parts.get(each)?.classes ?? filled(each.folder);
  return {
    splits: sorted.map((each) => {
      const inside = classesIn(each);
      const nested = nestedCopies(inside);
      return {
        split: each.role === 'unlabelled' ? null : each.role,
        classes: classesOf(inside.filter((inner) => !nested.includes(inner))),
        loose: [...each.folder.images, ...(parts.get(each)?.loose ?? [])],
      };
    }),
    notices: [
      ...[...parts.values()].flatMap((joined) => (joined === null ? [] : [joined.notice])),
      ...(sorted.some((each) => each.folder.name.toLowerCase() !== (each.role as string))
        ? [`taken as splits: ${sorted.map((each) => `${each.folder.place} for ${each.role}`).join(', ')}`]
        : unwrapped.map((each) => `taken as ${each.role}: ${each.folder.place}`)),
      ...(flatOthers.length > 0
        ? [`ignored, since they have no class folders: ${flatOthers.map(labelled).join(', ')}`]
        : []),
    ],
    warnings: [
      ...(flatTraining.length > 0
        ? [`ignored, since they have no class folders: ${flatTraining.map(labelled).join(', ')}`]
        : []),
      ...(ignored.length > 0 ? [`ignored next to the splits: ${firstNames(ignored, 5)}`] : []),
      ...sorted.flatMap((each) => nestedWarnings(nestedCopies(classesIn(each)))),
      ...genericWarnings(sorted.flatMap(classesIn), source),
    ],
  };
}

/** A split's folder that only wraps another one: `seg_train/seg_train/CLASS`, `train/images/CLASS`. */
function unwrap(folder: ImageTree): ImageTree {
  const inner = wrapped(folder);
  if (inner === null) {
    const [only, ...others] = filled(folder);
    const isWrapping = only !== undefined && others.length === 0 && folder.images.length === 0;
    // A folder of images only below its own name, or `images`, is no class either.
    return isWrapping && (only.name === folder.name || isGeneric(only)) ? only : folder;
  }
  return unwrap(inner);
}

/** Parts of one set with the classes inside of each; null for other layouts. */
function partsLayout(folder: ImageTree, source: string, hint: string): Layout | null {
  const joined = joinParts(filled(folder), source, hint);
  if (joined === null) return null;
  const { classes, loose, notice } = joined;
  return {
    splits: [{ split: null, classes: classesOf(classes), loose: [...folder.images, ...loose] }],
    notices: [notice],
    warnings: genericWarnings(classes, source),
  };
}

/** Classes with `train` and `test` folders inside; null for other layouts. */
function splitsInClasses(folder: ImageTree, source: string): Layout | null {
  const classes = filled(folder);
  const splitsOf = (one: ImageTree): (readonly [SplitName, ImageTree])[] =>
    filled(one).flatMap((inner) => {
      const split = splitNamed(inner.name);
      return split === undefined ? [] : [[split, inner] as const];
    });
  const divided = classes.filter((one) => new Set(splitsOf(one).map(([split]) => split)).size > 1);
  if (divided.length === 0) return null;
  const mixed = classes.filter((one) => one.images.length > 0 || splitsOf(one).length !== filled(one).length);
  if (mixed.length > 0) {
    throw new DataError('format', {
      operation: `listing the images of ${source}`,
      expected: 'the same in every class: images, or folders for splits such as train and test',
      received: `splits in ${namesOf(divided)}, and images or other folders in ${namesOf(mixed)}`,
      remedy: 'Sort all images into train/CLASS and test/CLASS.',
      path: source,
    });
  }
  const all = classes.flatMap((one) =>
    splitsOf(one).map(([split, inner]) => ({ split, name: one.name, folder: inner })),
  );
  const present = [...new Set(all.map(({ split }) => split))];
  const shared = sharedFolders(all.map((each) => each.folder));
  return {
    splits: present.map((split) => ({
      split,
      classes: all.filter((each) => each.split === split),
      loose: [],
    })),
    notices: [`taken as splits: the folders ${present.join(', ')} inside of each class`],
    warnings: [
      ...(folder.images.length > 0
        ? [`ignored, in no class folder: ${countOf(folder.images.length, 'image')}`]
        : []),
      ...(shared.length > 0 ? [sharedWarning(classes, shared)] : []),
      ...genericWarnings(classes, source),
    ],
  };
}

/** One folder per class, and no splits. */
function classLayout(folder: ImageTree, source: string, hint: string): Layout {
  const all = filled(folder);
  const [only, ...more] = all;
  if (only !== undefined && more.length === 0 && isGeneric(only)) {
    throw flatSplits([{ role: 'train', rest: '', folder: only }], source, hint);
  }
  const nested = nestedCopies(all);
  const unlabelled = all.filter((one) => all.length > 2 && hasNoLabels(one));
  const classes = all.filter((one) => !nested.includes(one) && !unlabelled.includes(one));
  const aSplit = classes.filter((one) => splitNamed(one.name) !== undefined).map(({ name }) => name);
  const shared = sharedFolders(classes);
  return {
    splits: [{ split: null, classes: classesOf(classes), loose: folder.images }],
    notices: [
      ...(aSplit.length > 0 && classes.length > 2
        ? [`treated as a class like the others: ${aSplit.join(', ')}`]
        : []),
      ...unlabelled.map(
        (one) =>
          `left out, since pictures in it have no label: ${one.place} (${countOf(one.count, 'image')}); cohort pretrain learns from them too`,
      ),
    ],
    warnings: [
      ...(aSplit.length > 0 && classes.length <= 2
        ? [`treated as a class, although named like a split: ${aSplit.join(', ')}`]
        : []),
      ...oddNames(classes),
      ...nestedWarnings(nested),
      ...(shared.length > 0 ? [sharedWarning(classes, shared)] : []),
      ...genericWarnings(classes, source),
    ],
  };
}

function classesOf(folders: readonly ImageTree[]): ClassFolder[] {
  return folders.map((folder) => ({ name: folder.name, folder }));
}

/** Folders among classes that hold folders named like the classes beside them: copies that an archive brought along. */
function nestedCopies(classes: readonly ImageTree[]): ImageTree[] {
  const names = new Set(classes.map(({ name }) => name));
  return classes.filter(
    (one) =>
      one.images.length === 0 &&
      classes.length > 2 &&
      filled(one).filter(({ name }) => name !== one.name && names.has(name)).length >= 2,
  );
}

function nestedWarnings(nested: readonly ImageTree[]): string[] {
  if (nested.length === 0) return [];
  return [
    `ignored, since folders of the same names as the classes beside it are in it: ${nested.map(({ place, count }) => `${place} (${countOf(count, 'image')})`).join(', ')}`,
  ];
}

/**
 * Names that folders inside of several classes have in common, where classes hold nothing but folders and every one of them has
 * such a folder: a class that a part of the images lacks hides nothing.
 */
function sharedFolders(classes: readonly ImageTree[]): string[] {
  if (classes.length < 2 || classes.some(({ images }) => images.length > 0)) return [];
  const inner = classes.map((one) => new Set(filled(one).map(({ name }) => name)));
  const all = [...new Set(inner.flatMap((names) => [...names]))];
  const shared = all.filter((name) => inner.filter((names) => names.has(name)).length >= 2);
  const isInAll = inner.every((names) => shared.some((name) => names.has(name)));
  return all.length >= 2 && isInAll ? shared : [];
}

function sharedWarning(classes: readonly ImageTree[], shared: readonly string[]): string {
  return `${namesOf(classes)} are taken as the classes, and several of them hold the same folders: ${firstNames(shared)}. If those are the classes, give one of the folders around them, or sort them into train/CLASS and test/CLASS.`;
}

/** Whether a folder beside classes is named as one of pictures without labels: `unlabelled`, `unlabeled_images`. */
function hasNoLabels({ name }: ImageTree): boolean {
  return /^unlabell?ed/i.test(name) && roleNamed(name)?.rest === '';
}

function isGeneric({ name }: ImageTree): boolean {
  return GENERIC.has(name.toLowerCase().replaceAll(/[^a-z]/g, ''));
}

/** Refuses classes none of which has a name of its own: `images` and `masks`. */
function genericWarnings(classes: readonly ImageTree[], source: string): string[] {
  const names = [...new Set(classes.map(({ name }) => name))];
  if (names.length < 2 || !classes.every(isGeneric)) return [];
  throw new DataError('format', {
    operation: `listing the images of ${source}`,
    expected: 'one folder per class, named by what its images show',
    received: `only the folders ${names.join(', ')}`,
    remedy:
      'Sort the images into one folder per class, or write a table with the columns path,label. Masks of a segmentation set are no classes.',
    path: source,
  });
}

function flatSplits(named: readonly Named[], source: string, hint: string): DataError {
  const images = named.flatMap(({ folder }) =>
    folder.images.length > 0 ? folder.images : unwrap(folder).images,
  );
  return new DataError('format', {
    operation: `listing the images of ${source}`,
    expected: 'one folder per class around the images',
    received: `images right in ${named.map((each) => slashed(each.folder)).join(' and ')}, so that nothing says which class they are`,
    remedy: `${fileNameHint(images)}${hint}Sort them into folders such as ${(named.find(({ role }) => role === 'train') ?? named[0])?.folder.place ?? 'train'}/CLASS, or write a table (CSV) with the columns path,label,split.`,
    path: source,
  });
}

function slashed({ place }: ImageTree): string {
  return `${place}/`;
}

function namesOf(folders: readonly ImageTree[]): string {
  return firstNames(folders.map(slashed));
}
