/** COCO's JSON: images, categories and annotations with boxes, polygons or run lengths. */
import { basename, join } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import * as z from 'zod';
import { AnnotationError } from '../errors.ts';
import { polygonsMask } from '../masks/polygons.ts';
import { checkRunLengths, maskArea, parseRunLengths, type RunLengths } from '../masks/runLengths.ts';
import { boxArea, soundBox, type AnnotatedImage, type AnnotatedObject, type Problems } from './annotated.ts';
import { isFile, readText } from './files.ts';

const runLengthsSchema = z.object({
  size: z.tuple([z.number(), z.number()]),
  counts: z.union([z.string(), z.array(z.number())]),
});
const id = z.union([z.int(), z.string()]);
const fileSchema = z.object({
  images: z.array(
    z.object({
      id,
      file_name: z.string().min(1),
      width: z.int().min(1).max(100_000),
      height: z.int().min(1).max(100_000),
    }),
  ),
  categories: z.array(z.object({ id: z.int(), name: z.string().min(1) })).min(1),
  // Single annotations are checked one by one: a wrong one must not cost all the others.
  annotations: z.array(z.unknown()).default([]),
});
const annotationSchema = z.object({
  id: id.optional(),
  image_id: id,
  category_id: z.int(),
  bbox: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  area: z.number().optional(),
  iscrowd: z.union([z.literal(0), z.literal(1), z.boolean()]).optional(),
  segmentation: z.unknown().optional(),
});
const segmentationSchema = z.union([runLengthsSchema, z.array(z.array(z.number()))]);

/** A file of one split. */
export interface CocoFile {
  readonly classes: readonly string[];
  readonly classIds: readonly number[];
  readonly images: readonly AnnotatedImage[];
}

/** How a file is read. */
export interface CocoOptions {
  /** Folders in which its images are looked for, in this order. */
  readonly imageFolders: readonly string[];
  readonly problems: Problems;
  /** Whether masks are wanted; they take time and memory. */
  readonly withMasks: boolean;
}

/** Reads a file. @throws {AnnotationError} for one that is not COCO's JSON; single annotations are left out and counted */
export async function readCoco(path: string, options: CocoOptions): Promise<CocoFile> {
  const { problems } = options;
  const file = parseCoco(path, await readText(path));
  const categories = withoutRepeats(file.categories, (id) => {
    problems.add('repeatedId', `category ${id} in ${basename(path)}`);
  });
  const places = new Map(categories.map((category, place) => [category.id, place]));
  const images = withoutRepeats(file.images, (id) => {
    problems.add('repeatedId', `image ${id} in ${basename(path)}`);
  });
  const known = new Map(images.map((image) => [image.id, image]));
  const objects = new Map<string | number, AnnotatedObject[]>();
  const seen = new Set<string | number>();
  for (const [index, given] of file.annotations.entries()) {
    const parsed = annotationSchema.safeParse(given);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      problems.add(
        'annotation',
        `annotation ${index} of ${basename(path)} (${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''})`,
      );
      continue;
    }
    const annotation = parsed.data;
    const where = `annotation ${annotation.id ?? index} of ${basename(path)}`;
    if (annotation.id !== undefined) {
      if (seen.has(annotation.id)) {
        problems.add('repeatedId', where);
        continue;
      }
      seen.add(annotation.id);
    }
    const image = known.get(annotation.image_id);
    const category = places.get(annotation.category_id);
    if (image === undefined) {
      problems.add('noImage', `${where} (image ${annotation.image_id})`);
      continue;
    }
    if (category === undefined) {
      problems.add('category', `${where} (category ${annotation.category_id})`);
      continue;
    }
    const object = objectOf(annotation, category, image, where, options);
    if (object !== null) objects.set(image.id, [...(objects.get(image.id) ?? []), object]);
  }
  return {
    classes: categories.map(({ name }) => name),
    classIds: categories.map((category) => category.id),
    images: images.flatMap((image) => {
      const found = options.imageFolders.map((folder) => join(folder, image.file_name)).find(isFile);
      if (found === undefined) {
        problems.add('missingFile', image.file_name);
        return [];
      }
      return [
        {
          file: found,
          name: image.file_name,
          ...(typeof image.id === 'number' ? { id: image.id } : {}),
          height: image.height,
          width: image.width,
          objects: objects.get(image.id) ?? [],
        },
      ];
    }),
  };
}

function parseCoco(path: string, text: string): z.output<typeof fileSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AnnotationError(
      `${path} is not JSON: ${errorText(error)}.`,
      'Its download or export probably broke off: make it again.',
      { cause: error },
    );
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AnnotationError(
    `${path} is not a COCO file: ${placeOf(issue)}: ${issue?.message ?? 'wrong'}.`,
    'It needs images (id, file_name, width, height), categories (id, name) and annotations (image_id, category_id, bbox).',
  );
}

function placeOf(issue: z.core.$ZodIssue | undefined): string {
  const path = issue?.path.join('.') ?? '';
  return path === '' ? 'the file' : path;
}

/** The first of each id. */
function withoutRepeats<Item extends { readonly id: string | number }>(
  items: readonly Item[],
  tell: (id: string | number) => void,
): Item[] {
  const byId = new Map<string | number, Item>();
  for (const item of items) {
    if (byId.has(item.id)) tell(item.id);
    else byId.set(item.id, item);
  }
  return [...byId.values()];
}

function objectOf(
  annotation: z.output<typeof annotationSchema>,
  category: number,
  image: { readonly height: number; readonly width: number },
  where: string,
  { problems, withMasks }: CocoOptions,
): AnnotatedObject | null {
  const [x, y, width, height] = annotation.bbox;
  const box = soundBox([x, y, x + width, y + height], image, where, problems);
  if (box === null) return null;
  const isCrowd = annotation.iscrowd === 1 || annotation.iscrowd === true;
  const { segmentation } = annotation;
  const isEmpty = segmentation == null || (Array.isArray(segmentation) && segmentation.length === 0);
  if (!withMasks || isEmpty) return { category, box, area: annotation.area ?? boxArea(box), isCrowd };
  try {
    const mask = maskOf(segmentation, image);
    if (mask.height !== image.height || mask.width !== image.width) {
      problems.add(
        'maskSize',
        `${where} (${mask.width} by ${mask.height} in ${image.width} by ${image.height})`,
      );
      return null;
    }
    return { category, box, area: annotation.area ?? maskArea(mask), isCrowd, mask };
  } catch (error) {
    if (!(error instanceof AnnotationError)) throw error;
    problems.add('annotation', `${where} (${error.message.split('. ')[0] ?? ''})`);
    return null;
  }
}

function maskOf(
  segmentation: unknown,
  { height, width }: { readonly height: number; readonly width: number },
): RunLengths {
  const parsed = segmentationSchema.safeParse(segmentation);
  if (!parsed.success) {
    throw new AnnotationError(
      'Its segmentation is neither polygons nor run lengths.',
      'Correct it or leave it out.',
    );
  }
  if (Array.isArray(parsed.data)) return polygonsMask(parsed.data, height, width);
  const { size, counts } = parsed.data;
  // Of another size than the image: said by the caller, and never decoded.
  if (size[0] !== height || size[1] !== width) return { height: size[0], width: size[1], counts: [] };
  return typeof counts === 'string'
    ? parseRunLengths(counts, size[0], size[1])
    : checkRunLengths({ height: size[0], width: size[1], counts });
}
