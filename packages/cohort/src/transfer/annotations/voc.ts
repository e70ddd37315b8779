/** Pascal VOC: an XML file of boxes per image, lists of images per split, and palette PNGs whose numbers are classes. */
import { join, parse } from 'node:path';
import { XMLParser } from 'fast-xml-parser';
import { SyntaxValidator } from 'fast-xml-validator';
import { errorText } from '@cohort-ml/errors';
import * as z from 'zod';
import { AnnotationError } from '../errors.ts';
import {
  boxArea,
  soundBox,
  type AnnotatedImage,
  type AnnotatedObject,
  type AnnotatedSplitName,
  type Problems,
} from './annotated.ts';
import { entriesOf, imageSize, isFile, isFolder, ImageFinder, readText } from './files.ts';

/** A file of one image is small; more is something else. */
const mostBytes = 4 * 1024 * 1024;

const number = z.coerce.number();
const objectSchema = z.object({
  name: z.coerce.string().trim().min(1),
  difficult: number.optional(),
  bndbox: z.object({ xmin: number, ymin: number, xmax: number, ymax: number }),
});
const annotationSchema = z.object({
  annotation: z.object({
    filename: z.coerce.string().optional(),
    size: z.object({ width: number, height: number }).optional(),
    object: z.array(z.unknown()).default([]),
  }),
});

/** What the XML of an image says. */
export interface VocAnnotation {
  readonly size: { readonly height: number; readonly width: number } | null;
  readonly objects: readonly {
    readonly name: string;
    readonly isDifficult: boolean;
    /** As in the file: 1-based, both ends included. */
    readonly corners: readonly [xmin: number, ymin: number, xmax: number, ymax: number];
  }[];
}

/**
 * Reads the text of an annotation. Entities are not expanded and document types are refused: a few hundred bytes of them can
 * stand for gigabytes.
 *
 * @throws {AnnotationError} for text that is not such an annotation
 */
export function parseVoc(text: string, source: string): VocAnnotation {
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) {
    throw new AnnotationError(
      `${source} declares a document type or entities, which annotations have no use for.`,
      'Remove the declaration.',
    );
  }
  let value: unknown;
  try {
    new SyntaxValidator().validate(text);
    const parser = new XMLParser({
      parseTagValue: false,
      processEntities: false,
      isArray: (name) => name === 'object',
    });
    value = parser.parse(text);
  } catch (error) {
    throw new AnnotationError(`${source} is not XML: ${errorText(error)}.`, 'Export it again.', {
      cause: error,
    });
  }
  const parsed = annotationSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new AnnotationError(
      `${source} is not an annotation of Pascal VOC: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}.`,
      'It needs <annotation> with <object>, <name> and <bndbox>.',
    );
  }
  const { size, object } = parsed.data.annotation;
  const isSize = size !== undefined && size.width >= 1 && size.height >= 1;
  return {
    size: isSize ? size : null,
    objects: object.map((given, index) => {
      const found = objectSchema.safeParse(given);
      if (!found.success) {
        const [issue] = found.error.issues;
        throw new AnnotationError(
          `Object ${index + 1} of ${source} cannot be used: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}.`,
          'Correct it or leave it out.',
        );
      }
      const { name, difficult, bndbox } = found.data;
      const { xmin, ymin, xmax, ymax } = bndbox;
      return { name, isDifficult: difficult === 1, corners: [xmin, ymin, xmax, ymax] };
    }),
  };
}

/** Names in the lists of images, by split; null where there are no lists. */
async function listsOf(
  folder: string,
  kind: 'Main' | 'Segmentation',
): Promise<Map<AnnotatedSplitName, string[]> | null> {
  const lists = new Map<AnnotatedSplitName, string[]>();
  for (const [split, file] of [
    ['train', 'train.txt'],
    ['validation', 'val.txt'],
    ['test', 'test.txt'],
  ] as const) {
    const path = join(folder, 'ImageSets', kind, file);
    if (!isFile(path)) continue;
    const lines = (await readText(path, mostBytes))
      .split(/\r?\n/)
      .map((line) => line.trim().split(/\s+/)[0] ?? '');
    lists.set(split, [...new Set(lines.filter((line) => line !== ''))]);
  }
  return lists.size === 0 ? null : lists;
}

/** How a folder is read. */
export interface VocOptions {
  readonly problems: Problems;
  /** Class names, where they are given: objects of others are left out. Else all that occur, sorted. */
  readonly classes: readonly string[] | null;
}

/** Whether a folder has the layout of VOC. */
export function isVocFolder(folder: string): boolean {
  return isFolder(join(folder, 'JPEGImages')) && isFolder(join(folder, 'Annotations'));
}

/** Reads boxes. */
export async function readVoc(
  folder: string,
  { problems, classes: given }: VocOptions,
): Promise<{ classes: string[]; splits: Partial<Record<AnnotatedSplitName, AnnotatedImage[]>> }> {
  const lists =
    (await listsOf(folder, 'Main')) ?? new Map([['train' as const, stemsOf(folder, 'Annotations', '.xml')]]);
  const finder = new ImageFinder(join(folder, 'JPEGImages'));
  const read: {
    split: AnnotatedSplitName;
    stem: string;
    file: string;
    size: { height: number; width: number };
    annotation: VocAnnotation;
  }[] = [];
  for (const [split, stems] of lists) {
    for (const stem of stems) {
      const file = finder.find(stem);
      if (file === null) {
        problems.add('missingFile', `JPEGImages/${stem}`);
        continue;
      }
      const source = join('Annotations', `${stem}.xml`);
      try {
        const annotation = parseVoc(await readText(join(folder, source), mostBytes), source);
        const size = annotation.size ?? (await imageSize(file));
        if ('problem' in size) problems.add('badFile', `${file} (${size.problem})`);
        else read.push({ split, stem, file, size, annotation });
      } catch (error) {
        problems.add('badFile', `${source} (${errorText(error).split('\n')[0] ?? ''})`);
      }
    }
  }
  const names = read.flatMap(({ annotation }) => annotation.objects.map(({ name }) => name));
  const classes = given === null ? [...new Set(names)].sort() : [...given];
  const places = new Map(classes.map((name, place) => [name, place]));
  const splits: Partial<Record<AnnotatedSplitName, AnnotatedImage[]>> = {};
  for (const { split, stem, file, size, annotation } of read) {
    const objects = annotation.objects.flatMap(({ name, isDifficult, corners }, index): AnnotatedObject[] => {
      const where = `object ${index + 1} of ${stem}.xml`;
      const category = places.get(name);
      if (category === undefined) {
        problems.add('category', `${where} (${name})`);
        return [];
      }
      const [xmin, ymin, xmax, ymax] = corners;
      if (!(xmax > xmin && ymax > ymin)) {
        problems.add('noArea', where);
        return [];
      }
      const box = soundBox([xmin - 1, ymin - 1, xmax, ymax], size, where, problems);
      return box === null ? [] : [{ category, box, area: boxArea(box), isCrowd: isDifficult }];
    });
    (splits[split] ??= []).push({ file, name: parse(file).base, ...size, objects });
  }
  return { classes, splits };
}

/** Pairs of images and palette masks, by split, where a folder has VOC's masks. */
export async function listVocMasks(
  folder: string,
  problems: Problems,
): Promise<Map<AnnotatedSplitName, { file: string; maskFile: string }[]> | null> {
  const masks = join(folder, 'SegmentationClass');
  if (!isFolder(masks)) return null;
  const lists =
    (await listsOf(folder, 'Segmentation')) ??
    new Map([['train' as const, stemsOf(folder, 'SegmentationClass', '.png')]]);
  const finder = new ImageFinder(join(folder, 'JPEGImages'));
  const result = new Map<AnnotatedSplitName, { file: string; maskFile: string }[]>();
  for (const [split, stems] of lists) {
    const pairs = stems.flatMap((stem) => {
      const file = finder.find(stem);
      const maskFile = join(masks, `${stem}.png`);
      if (file !== null && isFile(maskFile)) return [{ file, maskFile }];
      problems.add('missingFile', file === null ? `JPEGImages/${stem}` : `SegmentationClass/${stem}.png`);
      return [];
    });
    result.set(split, pairs);
  }
  return result;
}

function stemsOf(folder: string, inside: string, ending: string): string[] {
  return entriesOf(join(folder, inside))
    .filter((name) => name.toLowerCase().endsWith(ending))
    .map((name) => parse(name).name);
}
