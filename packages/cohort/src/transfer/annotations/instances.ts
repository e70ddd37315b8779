/** Objects with a mask each: Pascal VOC's pairs of palette masks, and what becomes of objects that have none. */
import { basename, join } from 'node:path';
import { AnnotationError } from '../errors.ts';
import { encodeMask, encodeWindow, maskArea, maskBox } from '../masks/runLengths.ts';
import { IGNORED } from '../metrics/segmentation.ts';
import type {
  AnnotatedData,
  AnnotatedImage,
  AnnotatedObject,
  AnnotatedSplitName,
  Problems,
} from './annotated.ts';
import { isFile, isFolder } from './files.ts';
import { readLabelMap, type LabelMap } from './labelMap.ts';
import { listVocMasks } from './voc.ts';

/** VOC's own names, whose palette masks have numbers alone. */
export const vocNames: readonly string[] =
  'background,aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,motorbike,person,pottedplant,sheep,sofa,train,tvmonitor'.split(
    ',',
  );

/** Whether a folder has masks whose numbers are single objects, next to those of classes. */
export function hasVocInstances(folder: string): boolean {
  return ['SegmentationObject', 'SegmentationClass', 'JPEGImages'].every((name) =>
    isFolder(join(folder, name)),
  );
}

/** @param names of the classes, the background's included as the first */
export async function readVocInstances(
  folder: string,
  names: readonly string[],
  problems: Problems,
): Promise<Pick<AnnotatedData, 'classes' | 'splits'>> {
  const lists = (await listVocMasks(folder, problems)) ?? new Map<AnnotatedSplitName, never[]>();
  const splits: Partial<Record<AnnotatedSplitName, AnnotatedImage[]>> = {};
  for (const [split, pairs] of lists) {
    for (const { file, maskFile } of pairs) {
      const objectFile = join(folder, 'SegmentationObject', basename(maskFile));
      if (!isFile(objectFile)) {
        problems.add('missingFile', `SegmentationObject/${basename(maskFile)}`);
        continue;
      }
      const [kinds, numbers] = [await readLabelMap(maskFile), await readLabelMap(objectFile)];
      if (kinds.height !== numbers.height || kinds.width !== numbers.width) {
        problems.add('maskSize', `${basename(maskFile)} of SegmentationObject and SegmentationClass`);
        continue;
      }
      const { height, width } = numbers;
      const objects = objectsOf(kinds, numbers, names.length, (number) => {
        problems.add('label', `object ${number} of ${basename(objectFile)}`);
      });
      (splits[split] ??= []).push({ file, name: basename(file), height, width, objects });
    }
  }
  return { classes: names.slice(1), splits };
}

/** One object per number; its class is the one that most of its pixels have. */
function objectsOf(
  kinds: LabelMap,
  { height, width, labels }: LabelMap,
  classes: number,
  leaveOut: (number: number) => void,
): AnnotatedObject[] {
  const numbers = [...new Set(labels)].filter((number) => number !== 0 && number !== IGNORED);
  return numbers
    .sort((left, right) => left - right)
    .flatMap((number): AnnotatedObject[] => {
      const counts = new Float64Array(256);
      for (const [place, own] of labels.entries()) {
        if (own === number) counts[kinds.labels[place] ?? 0] = (counts[kinds.labels[place] ?? 0] ?? 0) + 1;
      }
      const kind = counts.indexOf(Math.max(...counts));
      if (kind === 0 || kind >= classes) {
        leaveOut(number);
        return [];
      }
      const mask = encodeMask(
        labels.map((own) => Number(own === number)),
        height,
        width,
      );
      const [x, y, w, h] = maskBox(mask);
      return [{ category: kind - 1, box: [x, y, x + w, y + h], area: maskArea(mask), isCrowd: false, mask }];
    });
}

/**
 * The data with a mask for every object. One whose pixels are not known counts neither way inside of its box, as a crowd does.
 *
 * @throws {AnnotationError} where no object has a mask
 */
export function withMasks(data: AnnotatedData, path: string): AnnotatedData {
  const all = Object.values(data.splits).flatMap((images) => images.flatMap(({ objects }) => objects));
  if (all.every(({ mask }) => mask === undefined)) {
    throw new AnnotationError(
      `No object of ${path} has a mask.`,
      'Use task detection for boxes, or annotations with polygons or run lengths.',
    );
  }
  const filled = (image: AnnotatedImage): AnnotatedImage => ({
    ...image,
    objects: image.objects.map((object, index) => {
      if (object.mask !== undefined) return object;
      data.problems.add('noMask', `object ${index + 1} of ${image.name}`);
      return { ...object, isCrowd: true, mask: boxMask(object.box, image) };
    }),
  });
  const splits = Object.entries(data.splits).map(([split, images]) => [split, images.map(filled)] as const);
  return { ...data, splits: Object.fromEntries(splits) };
}

/** All pixels that a box touches. */
function boxMask(
  [x0, y0, x1, y1]: AnnotatedObject['box'],
  size: { readonly height: number; readonly width: number },
): NonNullable<AnnotatedObject['mask']> {
  const [left, top] = [Math.floor(x0), Math.floor(y0)];
  const [width, height] = [Math.ceil(x1) - left, Math.ceil(y1) - top];
  return encodeWindow(new Uint8Array(width * height).fill(1), { left, top, width, height }, size);
}
