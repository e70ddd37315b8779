/** What every form of annotation is read into: images with their objects or masks, class names, and what was left out and why. */
import { countOf, firstNames } from '../../data/folder/listing.ts';
import { AnnotationError } from '../errors.ts';
import type { RunLengths } from '../masks/runLengths.ts';

/** An object of an image. */
export interface AnnotatedObject {
  /** Place in the class names. */
  readonly category: number;
  /** x0, y0, x1, y1 in pixels, inside of the image and with an area. */
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number];
  /** In pixels: the mask's where there is one, else the box's. */
  readonly area: number;
  /** A crowd of COCO or a "difficult" object of VOC: not to be learned, and finding it counts neither way. */
  readonly isCrowd: boolean;
  /** Of the size of the image. */
  readonly mask?: RunLengths;
}

/** An image with what is known of it. */
export interface AnnotatedImage {
  readonly file: string;
  /** Short name for messages and results. */
  readonly name: string;
  /** COCO's number, where it has one. */
  readonly id?: number;
  /** In pixels; as the annotations say, or as the file does. */
  readonly height: number;
  readonly width: number;
  /** Empty where nothing is to be found in the image. */
  readonly objects: readonly AnnotatedObject[];
  /** PNG with a class number for every pixel. */
  readonly maskFile?: string;
}

/** Names of the splits. */
export const SPLIT_NAMES = ['train', 'validation', 'test'] as const;
/** Name of a split. */
export type AnnotatedSplitName = (typeof SPLIT_NAMES)[number];

/** The forms that can be read. */
export const ANNOTATION_FORMS = ['coco', 'voc', 'yolo', 'masks'] as const;
/** A form of annotation. */
export type AnnotationForm = (typeof ANNOTATION_FORMS)[number];

/** Annotated images by split. */
export interface AnnotatedData {
  readonly form: AnnotationForm;
  readonly classes: readonly string[];
  /** Of each class, where its source numbers them differently: COCO's category numbers. */
  readonly classIds?: readonly number[];
  readonly splits: Readonly<Partial<Record<AnnotatedSplitName, readonly AnnotatedImage[]>>>;
  readonly problems: Problems;
}

/** Kinds of trouble in annotations, in words for one and for more of them. */
export const PROBLEM_KINDS = {
  outside: ['box outside of its image', 'boxes outside of their images'],
  noArea: ['box without area', 'boxes without area'],
  clipped: ['box cut off at the border', 'boxes cut off at the border'],
  category: ['object of an unknown category', 'objects of unknown categories'],
  annotation: ['annotation that cannot be used', 'annotations that cannot be used'],
  noMask: ['object without a mask', 'objects without masks'],
  maskSize: ['mask of another size than its image', 'masks of another size than their images'],
  repeatedId: ['id that repeats', 'ids that repeat'],
  noImage: ['annotation of an image that is not listed', 'annotations of images that are not listed'],
  missingFile: ['missing file', 'missing files'],
  badFile: ['file that cannot be read', 'files that cannot be read'],
  label: ['mask with labels that no class has', 'masks with labels that no class has'],
} as const satisfies Readonly<Record<string, readonly [one: string, more: string]>>;

/** A kind of trouble. */
export type ProblemKind = keyof typeof PROBLEM_KINDS;

/** What can be used all the same: `--strict` refuses these too, except what is only cut off at the border. */
const harmless: ReadonlySet<ProblemKind> = new Set(['clipped']);

/** Collects what is wrong with annotations, so that nothing is left out in silence. */
export class Problems {
  readonly #found = new Map<ProblemKind, string[]>();

  /** @param where names the file and the object in a few words */
  add(kind: ProblemKind, where: string): void {
    const list = this.#found.get(kind) ?? [];
    list.push(where);
    this.#found.set(kind, list);
  }

  /** How many of a kind there are. */
  count(kind: ProblemKind): number {
    return this.#found.get(kind)?.length ?? 0;
  }

  /** Whether anything was left out. */
  get hasSevere(): boolean {
    return [...this.#found.keys()].some((kind) => !harmless.has(kind));
  }

  /** A line per kind, with the first names of each. */
  lines(): string[] {
    return [...this.#found].map(
      ([kind, names]) =>
        `${countOf(names.length, PROBLEM_KINDS[kind][0], PROBLEM_KINDS[kind][1])}: ${firstNames(names)}`,
    );
  }

  /** @throws {AnnotationError} with all of them, where anything was left out */
  refuse(source: string): void {
    if (!this.hasSevere) return;
    throw new AnnotationError(
      `${source} has annotations that cannot be used:\n  ${this.lines().join('\n  ')}`,
      'Correct them, or read them without --strict, which leaves them out.',
    );
  }
}

/** The box inside of its image; null, with the problem noted, where nothing of it is. */
export function soundBox(
  [x0, y0, x1, y1]: readonly [number, number, number, number],
  size: { readonly height: number; readonly width: number },
  where: string,
  problems: Problems,
): [number, number, number, number] | null {
  if (!(x1 > x0 && y1 > y0 && [x0, y0, x1, y1].every(Number.isFinite))) {
    problems.add('noArea', where);
    return null;
  }
  const { height, width } = size;
  if (x0 >= width || y0 >= height || x1 <= 0 || y1 <= 0) {
    problems.add('outside', where);
    return null;
  }
  const cut: [number, number, number, number] = [
    Math.max(x0, 0),
    Math.max(y0, 0),
    Math.min(x1, width),
    Math.min(y1, height),
  ];
  // A pixel more or less is how tools count, not a mistake.
  if (x0 < -1 || y0 < -1 || x1 > width + 1 || y1 > height + 1) problems.add('clipped', where);
  return cut;
}

/** Area of a box. */
export function boxArea([x0, y0, x1, y1]: readonly [number, number, number, number]): number {
  return (x1 - x0) * (y1 - y0);
}
