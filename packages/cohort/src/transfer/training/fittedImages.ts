/** Annotated images brought to the size of a task: decoded once, kept in memory where they fit, with the factor that boxes are scaled by. */
import { freemem } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { errorText } from '@cohort-ml/errors';
import { decodeQueued } from '../../data/loading/decodeImage.ts';
import { mapPool } from '../../data/loading/pool.ts';
import { at } from '../../support/at.ts';
import type { AnnotatedImage, Problems } from '../annotations/annotated.ts';
import { readLabelMap } from '../annotations/labelMap.ts';
import { AnnotationError } from '../errors.ts';
import { IGNORED } from '../metrics/segmentation.ts';

/** Height and width in pixels. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** What is known of one image once it is decoded. */
export interface FittedImage extends ImageSize {
  /** `[3, height, width]`. */
  readonly pixels: Uint8Array;
  /** Class of each pixel, `[height, width]`, {@link IGNORED} where it does not count; null for images without a mask. */
  readonly labels: Uint8Array | null;
}

/** How masks become labels. */
export interface LabelRule {
  readonly classes: number;
  readonly ignored: readonly number[];
}

const decodedTogether = 8;

/** The size that an image has inside of the task's, its proportions kept. */
export function fittedSize(image: ImageSize, task: ImageSize): ImageSize {
  const factor = Math.min(task.height / image.height, task.width / image.width);
  return {
    height: Math.max(1, Math.min(task.height, Math.round(image.height * factor))),
    width: Math.max(1, Math.min(task.width, Math.round(image.width * factor))),
  };
}

/** Size of a task that names none: that of an image with its longer side at most 512, in multiples of 32. */
export function sizeFor(image: ImageSize): ImageSize {
  const factor = Math.min(1, 512 / Math.max(image.height, image.width));
  const round = (side: number): number => Math.max(32, Math.ceil((side * factor) / 32) * 32);
  return { height: round(image.height), width: round(image.width) };
}

/** The images of a split. */
export class FittedImages {
  readonly images: readonly AnnotatedImage[];
  readonly #size: ImageSize;
  readonly #rule: LabelRule | null;
  readonly #cache = new Map<number, FittedImage>();
  readonly #keepsAll: boolean;
  readonly #problems: Problems;

  /** @param rule of masks; null where images have boxes */
  constructor(
    images: readonly AnnotatedImage[],
    size: ImageSize,
    rule: LabelRule | null,
    problems: Problems,
  ) {
    this.images = images;
    this.#size = size;
    this.#rule = rule;
    this.#problems = problems;
    const bytes = images.length * size.height * size.width * (rule === null ? 3 : 4);
    this.#keepsAll = bytes < freemem() / 4;
  }

  /** Decodes all of them, where there is memory, and leaves out those that cannot be; the images that are left. */
  static async open(
    images: readonly AnnotatedImage[],
    size: ImageSize,
    rule: LabelRule | null,
    { problems, signal }: { readonly problems: Problems; readonly signal: AbortSignal },
  ): Promise<FittedImages> {
    const all = new FittedImages(images, size, rule, problems);
    if (!all.#keepsAll) return all;
    const broken = new Set<number>();
    await mapPool(
      [...images.keys()],
      decodedTogether,
      async (index) => {
        try {
          await all.#decode(index);
        } catch (error) {
          problems.add('badFile', `${at(images, index).name} (${errorText(error).split('\n')[0] ?? ''})`);
          broken.add(index);
        }
        await setImmediate();
      },
      signal,
    );
    if (broken.size === 0) return all;
    const left = [...images.keys()].filter((index) => !broken.has(index));
    const rest = new FittedImages(
      left.map((index) => at(images, index)),
      size,
      rule,
      problems,
    );
    for (const [place, index] of left.entries()) {
      const decoded = all.#cache.get(index);
      if (decoded !== undefined) rest.#cache.set(place, decoded);
    }
    return rest;
  }

  get count(): number {
    return this.images.length;
  }

  /** Resolves when these images can be taken. */
  async ready(indices: ArrayLike<number>): Promise<void> {
    const missing = [...new Set(Array.from(indices))].filter((index) => !this.#cache.has(index));
    await Promise.all(missing.map((index) => this.#decode(index)));
  }

  /** An image that `ready` was awaited for. */
  get(index: number): FittedImage {
    const found = this.#cache.get(index);
    if (found === undefined) throw new RangeError(`Image ${index} is not decoded. Await ready first.`);
    return found;
  }

  /** Size of an image inside of the task's. */
  sizeOf(index: number): ImageSize {
    return fittedSize(at(this.images, index, 'the images'), this.#size);
  }

  /** Lets go of images that do not fit into memory all together. */
  release(indices: ArrayLike<number>): void {
    if (this.#keepsAll) return;
    for (const index of Array.from(indices)) this.#cache.delete(index);
  }

  async #decode(index: number): Promise<void> {
    const image = at(this.images, index, 'the images');
    const size = fittedSize(image, this.#size);
    const pixels = await decodeQueued(image.file, { channels: 3, ...size, fit: 'fill' });
    const labels =
      image.maskFile === undefined || this.#rule === null
        ? null
        : await this.#labelsOf(image, size, this.#rule);
    this.#cache.set(index, { ...size, pixels, labels });
  }

  async #labelsOf(image: AnnotatedImage, size: ImageSize, rule: LabelRule): Promise<Uint8Array> {
    const mask = await readLabelMap(image.maskFile ?? '');
    if (mask.height !== image.height || mask.width !== image.width) {
      throw new AnnotationError(
        `The mask of ${image.name} has ${mask.width} by ${mask.height} pixels, the image ${image.width} by ${image.height}.`,
        'Bring them to one size.',
      );
    }
    const table = Uint8Array.from({ length: 256 }, (_, label) =>
      label < rule.classes && !rule.ignored.includes(label) ? label : IGNORED,
    );
    const unknown = new Set<number>();
    for (const label of mask.labels) {
      if (label >= rule.classes && !rule.ignored.includes(label)) unknown.add(label);
    }
    if (unknown.size > 0)
      this.#problems.add('label', `${image.name} (${[...unknown].sort((a, b) => a - b).join(', ')})`);
    return resizeLabels(mask, size, table);
  }
}

/** The label in the middle of each new pixel, through a table. */
export function resizeLabels(
  mask: ImageSize & { readonly labels: Uint8Array },
  size: ImageSize,
  table: Uint8Array | null = null,
): Uint8Array {
  const labels = new Uint8Array(size.height * size.width);
  const columns = Array.from({ length: size.width }, (_, x) =>
    Math.floor(((x + 0.5) * mask.width) / size.width),
  );
  for (let y = 0; y < size.height; y += 1) {
    const start = Math.floor(((y + 0.5) * mask.height) / size.height) * mask.width;
    for (let x = 0; x < size.width; x += 1) {
      const label = mask.labels[start + (columns[x] ?? 0)] ?? IGNORED;
      labels[y * size.width + x] = table === null ? label : (table[label] ?? IGNORED);
    }
  }
  return labels;
}
