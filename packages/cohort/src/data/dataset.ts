/** The shape that every image dataset takes, so that loaders, samplers and training need to know only one. */
import type { DatasetAbout } from './about.ts';
import { DataError } from './errors.ts';
import { imageBytes, type ImageShape } from './imageShape.ts';
import type { ImagePixels } from './loading/pixelSource.ts';

export { imageBytes, type ImageShape } from './imageShape.ts';

/** What is known of the file that an image was read from. */
export interface ImageFile {
  /** Path inside the folder of images, or as the table gives it. */
  readonly name: string;
  /** Of the decoded pixels `[C, H, W]`: the first 32 hexadecimal digits of SHA-256. */
  readonly pixelDigest: string;
  /** Of the file's bytes, in the same form. */
  readonly bytesDigest: string;
}

/** Images with their labels. */
export interface ImageSplit<Pixels extends ImagePixels = Uint8Array> {
  /** Raw pixels 0 to 255, `[N, C, H, W]`. */
  readonly images: Pixels;
  /** Index into the dataset's classes, `[N]`. */
  readonly labels: Uint8Array | Int32Array;
  /** N. */
  readonly count: number;
  /** The file of image `index`; absent for images that are no files of their own. */
  readonly fileOf?: (index: number) => ImageFile;
}

/** How an image is brought to the size of all: stretched, or kept in proportion with what stands out cut off. */
export type ImageFit = 'fill' | 'cover';

/** A labelled image dataset with its splits. */
export interface ImageDataset<Pixels extends ImagePixels = Uint8Array> extends ImageShape {
  readonly name: string;
  /** Class names in the order of the labels. */
  readonly classes: readonly string[];
  /** Place of the class that stands for images without a label; absent where all have one. */
  readonly unlabelledClass?: number;
  readonly train: ImageSplit<Pixels>;
  readonly test: ImageSplit<Pixels>;
  /** Images to choose by, where the dataset has such a split or one was made. */
  readonly validation?: ImageSplit<Pixels>;
  /** How images were resized, so that prediction does the same; stretched where it is absent. */
  readonly fit?: ImageFit;
  /**
   * A hash of every image as it is used, with its class and split, where pixels are not in JavaScript's memory to be
   * hashed there.
   */
  readonly contentDigest?: string;
  /** What was left out or merged while loading and is no trouble, a sentence each. */
  readonly notices?: readonly string[];
  /** Releases what the splits hold outside of JavaScript's memory. */
  readonly dispose?: () => void;
}

/** Where decoded images are kept: see `data.cache` in the recipe. */
export type CacheMode = 'auto' | 'memory' | 'disk' | 'none';

/** Receives what was found while loading. */
export interface LoadingReporter {
  message(text: string): void;
  warning(text: string): void;
  /** How far a long load has come, in a few words; called often, and shown in place where that is possible. */
  progress?(text: string): void;
}

/** Settings of a dataset's loader. */
export interface DatasetOptions {
  /** Folder of the dataset's files; null or absent means its usual places. */
  path?: string | null;
  /** Height and width that images of any size are brought to; null or absent: decided from the images. */
  imageSize?: number | null;
  /** Side in pixels of the images that the networks were designed for, which guides that decision; 32 unless given. */
  designSize?: number;
  cache?: CacheMode;
  /** Refuses broken files instead of leaving them out. */
  strict?: boolean;
  /** For measuring: a split of which no file is there has no images, as long as the other one is there. */
  partial?: boolean;
  /** Follows links that lead out of a folder of images. */
  followLinks?: boolean;
  reporter?: LoadingReporter;
  signal?: AbortSignal;
  /** Most bytes of decoded images that `auto` holds in memory; a quarter of what is free unless given. */
  memoryBytes?: number;
  /** Environment variables to look in; `process.env` unless given. */
  environment?: Readonly<Record<string, string | undefined>>;
}

/** One dataset the registry knows. */
export interface DatasetEntry<Pixels extends ImagePixels = Uint8Array> {
  readonly name: string;
  /** Licence, size and origin; absent for what has none of its own, such as the user's folder. */
  readonly about?: DatasetAbout;
  /** Folder or archive that {@link load} would read, without reading it; null where there is none. */
  readonly find?: (options: DatasetOptions) => Promise<string | null>;
  /** True where `path` must be given, since it has no usual place. */
  readonly needsPath?: boolean;
  readonly load: (options: DatasetOptions) => Promise<ImageDataset<Pixels>>;
}

/** A split without images. */
export const NO_IMAGES: ImageSplit = { images: new Uint8Array(0), labels: new Uint8Array(0), count: 0 };

/**
 * Checks that a split is what {@link ImageSplit} promises: not empty, lengths that agree, labels inside the classes.
 * @param source - the file or dataset the split came from, for the message.
 * @throws {@link DataError} `empty`, `mismatch` or `label`.
 */
export function checkSplit(split: ImageSplit, shape: ImageShape, classCount: number, source: string): void {
  const operation = `checking ${source}`;
  if (split.count === 0) {
    throw new DataError('empty', {
      operation,
      expected: 'at least one image',
      received: '0 images',
      remedy: 'Give files that hold images.',
    });
  }
  const expectedBytes = split.count * imageBytes(shape);
  if (split.images.length !== expectedBytes || split.labels.length !== split.count) {
    throw new DataError('mismatch', {
      operation,
      expected: `${expectedBytes} image bytes and ${split.count} labels for ${split.count} images`,
      received: `${split.images.length} image bytes and ${split.labels.length} labels`,
      remedy: 'Use images and labels of the same split and the same download.',
    });
  }
  for (const [index, label] of split.labels.entries()) {
    if (label < 0 || label >= classCount) {
      throw new DataError('label', {
        operation,
        expected: `labels from 0 to ${classCount - 1} (${classCount} classes)`,
        received: `label ${label} at position ${index}`,
        remedy: 'Check that the labels belong to this dataset.',
      });
    }
  }
}
