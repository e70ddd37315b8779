/** YOLO's text files: a line per object, class number and centre, width and height as shares of the image; or a polygon. */
import { basename, join, parse, resolve } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { parse as parseYaml } from 'yaml';
import * as z from 'zod';
import { AnnotationError } from '../errors.ts';
import { polygonMask } from '../masks/polygons.ts';
import { maskArea } from '../masks/runLengths.ts';
import {
  boxArea,
  soundBox,
  type AnnotatedImage,
  type AnnotatedObject,
  type AnnotatedSplitName,
  type Problems,
} from './annotated.ts';
import { entriesOf, imageNames, imageSize, isFile, isFolder, readText } from './files.ts';

const dataSchema = z.object({
  path: z.string().optional(),
  train: z.string().optional(),
  val: z.string().optional(),
  test: z.string().optional(),
  names: z.union([z.array(z.string()), z.record(z.string(), z.string())]),
});

/** The YAML file that describes a data set of YOLO; null where a folder has none. */
export function findYoloFile(folder: string): string | null {
  const names = entriesOf(folder).filter((name) => /\.ya?ml$/.test(name));
  const name =
    names.find((each) => /^data\.ya?ml$/.test(each)) ?? (names.length === 1 ? names[0] : undefined);
  return name === undefined ? null : join(folder, name);
}

/** Reads a data set. @throws {AnnotationError} for a YAML file that does not describe one */
export async function readYolo(
  yamlPath: string,
  { problems, withMasks }: { readonly problems: Problems; readonly withMasks: boolean },
): Promise<{ classes: string[]; splits: Partial<Record<AnnotatedSplitName, AnnotatedImage[]>> }> {
  const data = await readDescription(yamlPath);
  const root = parse(yamlPath).dir;
  const classes = Array.isArray(data.names)
    ? data.names
    : Object.entries(data.names)
        .sort(([a], [b]) => Number(a) - Number(b))
        .map(([, name]) => name);
  const splits: Partial<Record<AnnotatedSplitName, AnnotatedImage[]>> = {};
  for (const [split, given] of [
    ['train', data.train],
    ['validation', data.val],
    ['test', data.test],
  ] as const) {
    if (given === undefined || given === '') continue;
    const images = findImages(root, data.path, given);
    if (images === null) {
      throw new AnnotationError(
        `${yamlPath} names ${given} for ${split}, but there is no such folder.`,
        'Correct the path in the file; it counts from the folder of the file.',
      );
    }
    const labels = images.replace(/(^|[/\\])images(?=[/\\]|$)/, '$1labels');
    const read: AnnotatedImage[] = [];
    for (const name of imageNames(images)) {
      const file = join(images, name);
      const size = await imageSize(file);
      if ('problem' in size) {
        problems.add('badFile', `${name} (${size.problem})`);
        continue;
      }
      const text = join(labels, `${parse(name).name}.txt`);
      // As published: an image without a file of labels has no objects.
      const objects = isFile(text)
        ? await readLabels(text, { ...size, classes: classes.length, problems, withMasks })
        : [];
      read.push({ file, name, ...size, objects });
    }
    splits[split] = read;
  }
  return { classes, splits };
}

async function readDescription(path: string): Promise<z.output<typeof dataSchema>> {
  let value: unknown;
  try {
    value = parseYaml(await readText(path, 1_000_000), { maxAliasCount: 100 });
  } catch (error) {
    throw new AnnotationError(`${path} cannot be read: ${errorText(error)}.`, 'Correct the file.', {
      cause: error,
    });
  }
  const parsed = dataSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AnnotationError(
    `${path} does not describe a data set of YOLO: ${issue === undefined || issue.path.length === 0 ? 'the file' : issue.path.join('.')}: ${issue?.message ?? 'wrong'}.`,
    'It needs names, and train, val or test with folders of images.',
  );
}

/** The folder of a split's images: from the YAML's `path`, or from its own folder, as exports differ. */
function findImages(root: string, path: string | undefined, given: string): string | null {
  const withoutUp = given.replace(/^(\.\.\/)+/, '');
  const candidates = [resolve(root, path ?? '.', given), resolve(root, given), resolve(root, withoutUp)];
  return candidates.find(isFolder) ?? null;
}

async function readLabels(
  path: string,
  context: {
    readonly height: number;
    readonly width: number;
    readonly classes: number;
    readonly problems: Problems;
    readonly withMasks: boolean;
  },
): Promise<AnnotatedObject[]> {
  const { height, width, problems } = context;
  let text: string;
  try {
    text = await readText(path, 16 * 1024 * 1024);
  } catch (error) {
    // An empty file says that there is nothing in the image.
    if (!errorText(error).includes('0 bytes'))
      problems.add('badFile', `${basename(path)} (${errorText(error)})`);
    return [];
  }
  return text.split(/\r?\n/).flatMap((line, index): AnnotatedObject[] => {
    if (line.trim() === '') return [];
    const where = `line ${index + 1} of ${basename(path)}`;
    const [category = NaN, ...values] = line.trim().split(/\s+/).map(Number);
    const isPolygon = values.length >= 6 && values.length % 2 === 0;
    if ((values.length !== 4 && !isPolygon) || values.some((value) => !Number.isFinite(value))) {
      problems.add('badFile', `${where} (${values.length + 1} values)`);
      return [];
    }
    if (!Number.isInteger(category) || category < 0 || category >= context.classes) {
      problems.add('category', `${where} (class ${category})`);
      return [];
    }
    if (isPolygon) return polygonObject(values, category, where, context);
    const [x = NaN, y = NaN, w = NaN, h = NaN] = values;
    const box = soundBox(
      [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height],
      context,
      where,
      problems,
    );
    return box === null ? [] : [{ category, box, area: boxArea(box), isCrowd: false }];
  });
}

function polygonObject(
  shares: readonly number[],
  category: number,
  where: string,
  { height, width, problems, withMasks }: Parameters<typeof readLabels>[1],
): AnnotatedObject[] {
  const polygon = shares.map((share, index) => share * (index % 2 === 0 ? width : height));
  const xs = polygon.filter((_, index) => index % 2 === 0);
  const ys = polygon.filter((_, index) => index % 2 === 1);
  const corners = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] as const;
  const box = soundBox(corners, { height, width }, where, problems);
  if (box === null) return [];
  if (!withMasks) return [{ category, box, area: boxArea(box), isCrowd: false }];
  try {
    const mask = polygonMask(polygon, height, width);
    return [{ category, box, area: maskArea(mask), isCrowd: false, mask }];
  } catch (error) {
    if (!(error instanceof AnnotationError)) throw error;
    problems.add('annotation', where);
    return [];
  }
}
