/** The images that features are probed on: any dataset or folder, at any size, with validation images to choose settings by. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { scope } from '@cohort-ml/torch';
import {
  datasetNames,
  imageBytes,
  loadDataset,
  splitValidation,
  stratifiedSubset,
  type ImageDataset,
  type ImageFit,
  type ImagePixels,
  type ImageShape,
  type ImageSplit,
} from '../../data/index.ts';
import { reshapeSplit } from '../../inference/reshapeSplit.ts';
import type { Reporter } from '../../progress/reporter.ts';
import { nearestName } from '../../support/nearestName.ts';
import { ProbeError } from '../errors.ts';

/** Which images, and how many. */
export interface ProbeData {
  /** Name of a dataset, or the path of a folder or table of images. */
  readonly source: string;
  /** Folder of a named dataset's files; its usual places unless given. */
  readonly path?: string;
  /** Stratified subsets; all unless given. */
  readonly trainImages?: number;
  readonly testImages?: number;
  /** Images split off the training images to choose settings by: how many, or their share below 1; a dataset's own count more. */
  readonly validationImages: number;
}

/** Images of one shape. */
export interface ProbeImages {
  readonly name: string;
  readonly classes: readonly string[];
  readonly shape: ImageShape;
  readonly train: ImageSplit<ImagePixels>;
  readonly validation: ImageSplit<ImagePixels>;
  readonly test: ImageSplit<ImagePixels>;
  /** Whether the validation images are the dataset's own. */
  readonly hasOwnValidation: boolean;
  /** Channels that the images have before they are brought to the shape. */
  readonly ownChannels: number;
  dispose(): void;
}

/** Names of the splits. */
export const PROBE_SPLITS = ['train', 'validation', 'test'] as const;

/** The seed of subsets and validation images: the same for all runs, so that all are measured on the same images. */
const SPLIT_SEED = 1;

/** Whether the source is a folder or a table rather than a dataset's name. @throws {ProbeError} for what is neither */
export function isImageFolder(source: string): boolean {
  if (existsSync(source)) return true;
  const names = datasetNames().filter((name) => name !== 'folder');
  if (names.includes(source)) return false;
  const near = nearestName(source, names);
  throw new ProbeError(
    `There is no dataset and no folder '${source}'.`,
    `${near === null ? '' : `Did you mean ${near}? `}Give a folder of images, or one of ${names.join(', ')}.`,
  );
}

/**
 * Loads them at the shape that a network takes.
 * @throws {ProbeError} for fewer than two classes, DataError for images that are missing or damaged
 */
export async function openProbeImages(
  data: ProbeData,
  shape: ImageShape & { readonly fit: ImageFit },
  options: { readonly reporter: Reporter; readonly signal: AbortSignal },
): Promise<ProbeImages> {
  const loaded = isImageFolder(data.source)
    ? await loadDataset('folder', { ...options, path: data.source, imageSize: shape.height })
    : await loadDataset(data.source, { ...options, path: data.path ?? null });
  try {
    const { classes } = loaded;
    assertClasses(loaded, data);
    const subset = (split: 'train' | 'test', count: number | undefined): ImageSplit<ImagePixels> =>
      stratifiedSubset(loaded[split], loaded, {
        count: count ?? null,
        seed: SPLIT_SEED,
        setting: split === 'train' ? '--train-images' : '--test-images',
      });
    const trained = subset('train', data.trainImages);
    const { train, validation } =
      loaded.validation === undefined
        ? splitValidation(trained, loaded, {
            images: data.validationImages,
            seed: SPLIT_SEED,
            setting: '--validation-images',
            otherwise: 'linear and neighbours choose their settings on these images',
          })
        : { train: trained, validation: loaded.validation };
    const reshaped = async (split: ImageSplit<ImagePixels>): Promise<ImageSplit<ImagePixels>> =>
      sameShape(loaded, shape) ? split : reshapeSplit(await inMemory(split, loaded), loaded, shape);
    return {
      name: isImageFolder(data.source) ? basename(resolve(data.source)) : loaded.name,
      classes,
      shape: { channels: shape.channels, height: shape.height, width: shape.width },
      train: await reshaped(train),
      validation: await reshaped(validation),
      test: await reshaped(subset('test', data.testImages)),
      hasOwnValidation: loaded.validation !== undefined,
      ownChannels: loaded.channels,
      dispose: () => loaded.dispose?.(),
    };
  } catch (error) {
    loaded.dispose?.();
    throw error;
  }
}

function assertClasses({ classes, train }: ImageDataset<ImagePixels>, { source }: ProbeData): void {
  const present = new Set(train.labels).size;
  if (present >= 2) return;
  throw new ProbeError(
    `The images of ${source} have ${present === 1 ? `only the class ${classes[train.labels[0] ?? 0] ?? ''}` : 'no class'}, and there is nothing to tell apart.`,
    'Give images of at least two classes.',
  );
}

function sameShape(one: ImageShape, other: ImageShape): boolean {
  return one.channels === other.channels && one.height === other.height && one.width === other.width;
}

/** Decoding is done for a split as a whole: images are brought to another shape one by one. */
async function inMemory(split: ImageSplit<ImagePixels>, shape: ImageShape): Promise<ImageSplit> {
  const { images, labels, count } = split;
  if (images instanceof Uint8Array) return { images, labels, count };
  const size = imageBytes(shape);
  const pixels = new Uint8Array(count * size);
  const rowsAtOnce = 256;
  for (let first = 0; first < count; first += rowsAtOnce) {
    const rows = Int32Array.from({ length: Math.min(rowsAtOnce, count - first) }, (_, row) => first + row);
    const part =
      images.kind === 'streamed'
        ? await images.fetch(rows)
        : scope(() => Uint8Array.from(images.gather(rows).contiguous().toNumbers()));
    pixels.set(part, first * size);
  }
  return { images: pixels, labels, count };
}

/**
 * SHA-256 of the pixels and labels of a split in hexadecimal; null where pixels are only in files whose digests are not known.
 */
export function splitDigest(split: ImageSplit<ImagePixels>, shape: ImageShape): string | null {
  const { images, labels, count, fileOf } = split;
  const hash = createHash('sha256');
  hash.update(JSON.stringify([count, shape.channels, shape.height, shape.width]));
  hash.update(Int32Array.from(labels));
  if (images instanceof Uint8Array) return hash.update(images).digest('hex');
  if (fileOf === undefined) return null;
  for (let index = 0; index < count; index += 1) hash.update(fileOf(index).pixelDigest);
  return hash.digest('hex');
}
