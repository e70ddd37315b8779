/** The shape that every image dataset takes in memory, so that loaders, samplers and training need to know only one. */
import type { DatasetAbout } from './about.ts';
import { DataError } from './errors.ts';

/** Height, width and channels of every image of a dataset. */
export interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Images with their labels. */
export interface ImageSplit {
  /** Raw pixels 0 to 255, `[N, C, H, W]`. */
  readonly images: Uint8Array;
  /** Index into the dataset's classes, `[N]`. */
  readonly labels: Uint8Array | Int32Array;
  /** N. */
  readonly count: number;
}

/** A labelled image dataset with its two splits. */
export interface ImageDataset extends ImageShape {
  readonly name: string;
  /** Class names in the order of the labels. */
  readonly classes: readonly string[];
  readonly train: ImageSplit;
  readonly test: ImageSplit;
  /** Images to choose by, where the dataset has such a split or one was made. */
  readonly validation?: ImageSplit;
}

/** What a dataset's loader may be told. */
export interface DatasetOptions {
  /** Folder of the dataset's files; null or absent means its usual places. */
  path?: string | null;
  /** Environment variables to look in; `process.env` unless given. */
  environment?: Readonly<Record<string, string | undefined>>;
}

/** One dataset the registry knows. */
export interface DatasetEntry {
  readonly name: string;
  /** Licence, size and origin; absent for what has none of its own, such as the user's folder. */
  readonly about?: DatasetAbout;
  /** Folder or archive that {@link load} would read, without reading it; null where there is none. */
  readonly find?: (options: DatasetOptions) => Promise<string | null>;
  readonly load: (options: DatasetOptions) => Promise<ImageDataset>;
}

/** Bytes of one image of this shape. */
export function imageBytes(shape: ImageShape): number {
  return shape.channels * shape.height * shape.width;
}

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
