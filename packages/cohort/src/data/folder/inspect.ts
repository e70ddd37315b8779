/** Looks at the header and the bytes of every image file, from which size and channels of the whole set are decided. */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { ImageShape } from '../dataset.ts';
import { lookAtPicture, type PictureFacts } from '../decode/picture.ts';
import { libraryReason, loadSharp, type Sharp } from '../loading/decodeImage.ts';
import { DataError } from '../errors.ts';
import { mapPool } from '../loading/pool.ts';
import { readDataFile } from '../loading/readFile.ts';
import { reasonBySignature } from './imageSignature.ts';

/** What one image file says of itself. */
export interface ImageFacts extends PictureFacts {
  /** Of the file's bytes: 32 hexadecimal digits of SHA-256. */
  readonly bytesDigest: string;
}

/** Facts, or why there are none. */
export type Inspection = ImageFacts | { readonly broken: string };

/** Larger files are no pictures to train on. */
export const MAXIMUM_FILE_BYTES = 512 * 1024 * 1024;

/**
 * Images that may be in work at once: libuv's threads decode (four, or as `UV_THREADPOOL_SIZE` says), and each has its
 * next one waiting.
 */
export function imagesInFlight(): number {
  const threads = Number(process.env.UV_THREADPOOL_SIZE) || 4;
  return 2 * Math.max(1, Math.min(threads, availableParallelism()));
}

/**
 * Looks at every file, in order. A file that cannot be read or is no image is told, not thrown. Those are looked at again
 * one by one: libvips has one place for the errors of all threads, and would give any of them another's reason.
 */
export async function inspectImages(paths: readonly string[], signal?: AbortSignal): Promise<Inspection[]> {
  const sharp = await loadSharp();
  const inspect = async (path: string): Promise<Inspection> => {
    try {
      const content = await readDataFile(path, {
        operation: 'looking at image',
        maximumBytes: MAXIMUM_FILE_BYTES,
        remedyWhenMissing: 'Check the path.',
      });
      return { ...(await factsOf(sharp, content)), bytesDigest: digestOf(content) };
    } catch (error) {
      return {
        broken:
          error instanceof DataError
            ? error.reason
            : `not an image that can be read (${libraryReason(error)})`,
      };
    }
  };
  const inspections = await mapPool(paths, imagesInFlight(), inspect, signal);
  for (const [index, path] of paths.entries()) {
    const inspection = inspections[index];
    if (inspection === undefined || !('broken' in inspection)) continue;
    signal?.throwIfAborted();
    inspections[index] = await inspect(path);
  }
  return inspections;
}

/** What the header says. @throws {DataError} `decode` for a file that by its first bytes is something else */
async function factsOf(sharp: Sharp, content: Buffer): Promise<PictureFacts> {
  try {
    return await lookAtPicture(sharp, content);
  } catch (error) {
    const reason = reasonBySignature(content);
    if (reason === null) throw error;
    throw new DataError('decode', {
      operation: 'looking at an image',
      expected: 'an image',
      received: reason,
      remedy: 'Replace the file.',
      cause: error,
    });
  }
}

/** 128 bits of SHA-256 in hexadecimal: enough for no two files ever to meet by chance. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 32);
}

/** Sides that are chosen from, for networks designed for small and for large images. */
const SMALL_SIDES = [32, 48, 64];
const LARGE_SIDES = [64, 96, 128, 160, 192, 224];

/**
 * The shape that all images are brought to: one channel only where all are grey. The size is the one asked for, squared; or
 * that of the images where it is the same for all and small; or the largest usual side that at least half of the images
 * reach without being enlarged.
 * @param designSize side of the images that the networks were designed for, 32 or 224
 */
export function decideShape(
  facts: readonly ImageFacts[],
  imageSize: number | null,
  designSize: number,
): ImageShape {
  const channels = facts.every(({ isGrey }) => isGrey) ? 1 : 3;
  if (imageSize !== null) return { channels, height: imageSize, width: imageSize };
  const isLarge = designSize > 64;
  const [first] = facts;
  const smallest = isLarge ? 32 : 8;
  const largest = isLarge ? 256 : 64;
  if (
    first !== undefined &&
    Math.min(first.width, first.height) >= smallest &&
    Math.max(first.width, first.height) <= largest &&
    facts.every(({ width, height }) => width === first.width && height === first.height)
  ) {
    return { channels, height: first.height, width: first.width };
  }
  const shorter = medianShorterSide(facts);
  const sides = isLarge ? LARGE_SIDES : SMALL_SIDES;
  const side = sides.findLast((candidate) => candidate <= shorter) ?? sides[0] ?? designSize;
  return { channels, height: side, width: side };
}

/** Half of the images have at least this many pixels on their shorter side. */
export function medianShorterSide(facts: readonly Pick<ImageFacts, 'width' | 'height'>[]): number {
  const sides = facts.map(({ width, height }) => Math.min(width, height)).sort((left, right) => left - right);
  return sides[Math.floor((sides.length - 1) / 2)] ?? 0;
}
