/**
 * Lists every picture of a folder, whatever its place: for methods that learn without labels. Folders that are classes give
 * their pictures a label all the same, by which progress is measured and test images are known; all others have none.
 */
import { stat } from 'node:fs/promises';
import { DataError } from '../errors.ts';
import { UNLABELLED } from '../labels.ts';
import { readLayout, type Layout } from './layout/layout.ts';
import { completeListing, countOf, type ImageListing, type ListedImage } from './listing.ts';
import { listTable } from './tables/listTable.ts';
import type { SplitName } from './splitNames.ts';
import { roleNamed } from './splitNames.ts';
import { TABLE_ENDING } from './tables/tableEnding.ts';
import { FolderWalker, type ImageTree, type WalkOptions } from './walk.ts';

/**
 * Pictures in any nesting. Those without a label have the class `unlabelled`; a folder that names test images and holds no
 * classes is left out.
 *
 * @throws {DataError} `missing`, `unreadable`, `empty` (no picture at all)
 */
export async function listUnlabelled(root: string, options: WalkOptions = {}): Promise<ImageListing> {
  const isTable = TABLE_ENDING.test(root) && (await stat(root).catch(() => null))?.isDirectory() !== true;
  if (isTable) return listTable(root, options);
  const walker = await FolderWalker.open(root, options);
  const tree = await walker.tree();
  const { notices, warnings } = walker.passedBy(tree.count);
  if (tree.count === 0) throw nothingFound(root, [...warnings, ...notices]);
  const labelled = labelsOf(tree, root);
  const listed: ListedImage[] = [];
  let leftOut = 0;
  for (const path of allImages(tree)) {
    const name = walker.nameOf(path);
    const known = labelled.get(path);
    if (known === undefined && isOfTest(name)) leftOut += 1;
    else listed.push({ name, path, className: UNLABELLED, split: 'train', ...known });
  }
  if (listed.length === 0) throw onlyTestImages(root, leftOut);
  if (listed.length === 1) throw tooFewPictures(root, 'one picture');
  const without = listed.filter(({ path }) => !labelled.has(path)).length;
  return completeListing(
    root,
    listed,
    {
      notices: [
        ...(labelled.size > 0
          ? [
              `${countOf(labelled.size, 'picture')} in class folders, whose labels are used to measure progress and not to learn from; ${countOf(without, 'picture')} without a label`,
            ]
          : []),
        ...(leftOut > 0
          ? [`left out, named as test images and without a class: ${countOf(leftOut, 'picture')}`]
          : []),
        ...notices,
      ],
      warnings,
      broken: walker.unreadable,
    },
    options.signal,
  );
}

/** Class and split of the pictures in class folders, by path; empty where there are not two classes. */
function labelsOf(
  tree: ImageTree,
  source: string,
): Map<string, { className: string; split: SplitName | null }> {
  const labels = new Map<string, { className: string; split: SplitName | null }>();
  for (const { split, classes } of layoutOf(tree, source)?.splits ?? []) {
    for (const { name, folder } of classes) {
      for (const path of allImages(folder)) labels.set(path, { className: name.normalize('NFC'), split });
    }
  }
  const classes = new Set([...labels.values()].map(({ className }) => className));
  if (classes.size < 2) labels.clear();
  return labels;
}

/** Null for folders that are no classes: any nesting will do. */
function layoutOf(tree: ImageTree, source: string): Layout | null {
  try {
    return readLayout(tree, source);
  } catch (error) {
    if (error instanceof DataError && error.kind === 'format') return null;
    throw error;
  }
}

function isOfTest(name: string): boolean {
  return name
    .split('/')
    .slice(0, -1)
    .some((part) => {
      const named = roleNamed(part);
      return named?.role === 'test' && named.rest === '';
    });
}

function allImages({ images, folders }: ImageTree): string[] {
  return [...images, ...folders.flatMap(allImages)];
}

function onlyTestImages(root: string, count: number): DataError {
  return new DataError('empty', {
    operation: `listing the pictures of ${root}`,
    expected: 'pictures to learn from',
    received: `${countOf(count, 'picture')} in folders that are named as test images`,
    remedy: 'Give the folder of the pictures itself, or rename it.',
    path: root,
  });
}

function nothingFound(root: string, passedBy: readonly string[]): DataError {
  const seen = passedBy.length === 0 ? '' : ` (${passedBy.join('; ')})`;
  return new DataError('empty', {
    operation: `listing the pictures of ${root}`,
    expected:
      'pictures (JPEG, PNG, WebP, GIF, TIFF, AVIF, SVG, BMP, PPM) in the folder or in folders inside of it',
    received: `none${seen}`,
    remedy: 'Check the path.',
    path: root,
  });
}

/** Nothing can be learned from one picture. */
export function tooFewPictures(source: string, received: string): DataError {
  return new DataError('empty', {
    operation: `loading the pictures of ${source}`,
    expected: 'two or more different pictures, one to learn from and one to measure on',
    received,
    remedy: 'Add pictures: learning without labels is worthwhile from some hundreds on.',
    path: source,
  });
}
