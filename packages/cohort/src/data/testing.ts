/** Fixtures for this folder's tests: IDX files in the real format, temporary folders and small splits made by formula. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { DatasetOptions, ImageDataset, ImageShape, ImageSplit } from './dataset.ts';
import { imageBytes } from './dataset.ts';
import { DataError } from './errors.ts';
import type { ImagePixels } from './loading/pixelSource.ts';
import { hashKeys } from './loading/random.ts';
import { loadDataset } from './registry.ts';

/** A new empty folder; `remove` deletes it with all it holds. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'cohort-data-'));
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Bytes of an IDX file of unsigned bytes. */
export function idxBytes(shape: readonly number[], values: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt32BE(0x0800 | shape.length, 0);
  for (const [index, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * index);
  return Buffer.concat([header, values]);
}

/** A split with pseudo-random pixels and the labels given. */
export function madeUpSplit(shape: ImageShape, labels: readonly number[]): ImageSplit {
  const size = imageBytes(shape);
  const images = Uint8Array.from({ length: labels.length * size }, (_, index) => hashKeys(7, index) & 0xff);
  return { images, labels: Uint8Array.from(labels), count: labels.length };
}

/** Labels `0, 1, ... classCount - 1, 0, 1, ...`. */
export function cyclicLabels(count: number, classCount: number): number[] {
  return Array.from({ length: count }, (_, index) => index % classCount);
}

/** Writes the four files of a dataset of the MNIST family with 28x28 images; returns what they hold. */
export function writeMnistFiles(
  folder: string,
  options: { trainCount: number; testCount: number; compressed: boolean },
): { train: ImageSplit; test: ImageSplit } {
  const shape = { channels: 1, height: 28, width: 28 };
  const write = (prefix: string, count: number): ImageSplit => {
    const split = madeUpSplit(shape, cyclicLabels(count, 10));
    const files = [
      [`${prefix}-images-idx3-ubyte`, idxBytes([count, 28, 28], split.images)],
      [`${prefix}-labels-idx1-ubyte`, idxBytes([count], Uint8Array.from(split.labels))],
    ] as const;
    for (const [name, bytes] of files) {
      if (options.compressed) writeFileSync(join(folder, `${name}.gz`), gzipSync(bytes));
      else writeFileSync(join(folder, name), bytes);
    }
    return split;
  };
  return { train: write('train', options.trainCount), test: write('t10k', options.testCount) };
}

/** The {@link DataError} that `body` throws or rejects with; anything else fails the test. */
export async function dataErrorOf(body: () => unknown): Promise<DataError> {
  try {
    await body();
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
  throw new Error('expected a DataError, but nothing was thrown');
}

/** Loads a dataset by name whose images come as one array. */
export async function loadInMemory(name: string, options: DatasetOptions = {}): Promise<ImageDataset> {
  const dataset = await loadDataset(name, options);
  const inMemory = ({ images, labels, count }: ImageSplit<ImagePixels>): ImageSplit => {
    if (images instanceof Uint8Array) return { images, labels, count };
    throw new Error(`expected the images of ${name} in one array`);
  };
  const { validation, train, test, ...rest } = dataset;
  return {
    ...rest,
    train: inMemory(train),
    test: inMemory(test),
    ...(validation === undefined ? {} : { validation: inMemory(validation) }),
  };
}
