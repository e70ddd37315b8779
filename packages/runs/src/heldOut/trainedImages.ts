/** Digests of the images that a run was trained on, by which images that it knows already are found among others. */
import { join } from 'node:path';
import { FILES } from '../schema.ts';
import { readArrayFile, writeArrayFile } from './arrayFile.ts';

const FORMAT = 'cohort.trained-images';
const VERSION = 1;

/** Hexadecimal digits of a digest that are kept: 64 bits, with which a million images meet by chance once in 10^7 runs. */
const DIGITS = 16;

/** A set of digests, in little room. */
export class TrainedImages {
  /** Of the pixels as the networks see them, ascending. */
  readonly pixels: BigUint64Array;
  /** Of the bytes of image files, ascending; empty where images were no files. */
  readonly files: BigUint64Array;

  constructor(pixels: BigUint64Array, files: BigUint64Array) {
    this.pixels = pixels;
    this.files = files;
  }

  /**
   * From SHA-256 in hexadecimal, or at least its first 16 digits.
   * @param pixels of the pixels `[C, H, W]`
   * @param files of the files' bytes
   */
  static of(pixels: Iterable<string>, files: Iterable<string>): TrainedImages {
    return new TrainedImages(sorted(pixels), sorted(files));
  }

  /** Whether an image with these pixels, or of a file with these bytes, was trained on. */
  has(pixels: string, file?: string): boolean {
    return contains(this.pixels, pixels) || (file !== undefined && contains(this.files, file));
  }

  /** Those of both. */
  with(other: TrainedImages): TrainedImages {
    const merge = (left: BigUint64Array, right: BigUint64Array): BigUint64Array =>
      BigUint64Array.from(new Set([...left, ...right])).sort();
    return new TrainedImages(merge(this.pixels, other.pixels), merge(this.files, other.files));
  }
}

/** Writes them into a run folder. @throws RunError that names the path and the remedy */
export function writeTrainedImages(runFolder: string, { pixels, files }: TrainedImages): void {
  writeArrayFile(
    join(runFolder, FILES.trainedImages),
    { format: FORMAT, version: VERSION, info: {} },
    {
      pixels: { dtype: 'U64', shape: [pixels.length], data: pixels },
      files: { dtype: 'U64', shape: [files.length], data: files },
    },
  );
}

/** Reads them; null for a run of an earlier Cohort. @throws RunError of kind `corrupt` or `newer-version` */
export function readTrainedImages(runFolder: string): TrainedImages | null {
  const file = readArrayFile(join(runFolder, FILES.trainedImages), FORMAT, VERSION);
  if (file === null) return null;
  return new TrainedImages(file.array('pixels', 'U64', [-1]).data, file.array('files', 'U64', [-1]).data);
}

function sorted(digests: Iterable<string>): BigUint64Array {
  return BigUint64Array.from(new Set(digests), numberOf).sort();
}

function numberOf(digest: string): bigint {
  return BigInt(`0x${digest.slice(0, DIGITS)}`);
}

function contains(all: BigUint64Array, digest: string): boolean {
  const wanted = numberOf(digest);
  let [from, to] = [0, all.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    const value = all[middle] ?? 0n;
    if (value === wanted) return true;
    if (value < wanted) from = middle + 1;
    else to = middle;
  }
  return false;
}
