/** The one pass that decodes every image of a set: it finds what is broken, measures pixels, and hands them to where they are kept. */
import type { ImageFit, ImageShape, LoadingReporter } from '../../dataset.ts';
import { decodeQueued } from '../../loading/decodeImage.ts';
import { DataError } from '../../errors.ts';
import { mapPool } from '../../loading/pool.ts';
import { digestOf, imagesInFlight } from '../inspect.ts';
import { emptyMoments, measureImage, type Moments } from './moments.ts';

/** What the pass found. */
export interface DecodedSet {
  readonly moments: Moments;
  /** Of the pixels as networks see them; null where the file is broken. */
  readonly pixelDigests: readonly (string | null)[];
  /** Why files are broken, by index. */
  readonly broken: ReadonlyMap<number, string>;
}

/** What the pass is done with. */
export interface DecodeAllOptions {
  readonly shape: ImageShape & { readonly fit: ImageFit };
  /** Keeps the pixels `[C, H, W]` of image `index`; awaited, so that no more are in memory than can be put away. */
  readonly keep: (index: number, pixels: Uint8Array) => Promise<void> | void;
  readonly reporter?: LoadingReporter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Progress is reported this often; whoever shows it decides how often to do so. */
const IMAGES_PER_REPORT = 20;

/** Decodes all files, a bounded number at a time. @param skip indices that are known to be broken */
export async function decodeAll(
  paths: readonly string[],
  skip: ReadonlyMap<number, string>,
  options: DecodeAllOptions,
): Promise<DecodedSet> {
  const { shape, keep, reporter, signal } = options;
  const moments = emptyMoments(paths.length, shape.channels);
  const broken = new Map(skip);
  const failed: number[] = [];
  let done = 0;
  const decode = async (path: string, index: number): Promise<string | null> => {
    if (broken.has(index)) return null;
    let pixels: Uint8Array;
    try {
      pixels = await decodeQueued(path, shape);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      failed.push(index);
      return null;
    }
    measureImage(moments, index, pixels, shape.channels);
    await keep(index, pixels);
    done += 1;
    if (done % IMAGES_PER_REPORT === 0) {
      reporter?.progress?.(
        `decoded ${done.toLocaleString('en-US')} of ${paths.length.toLocaleString('en-US')} images`,
      );
    }
    return digestOf(pixels);
  };
  const pixelDigests = await mapPool(paths, imagesInFlight(), decode, signal);
  for (const index of failed) {
    signal?.throwIfAborted();
    broken.set(index, await reasonOf(paths[index] ?? '', shape));
  }
  // In the order of the files, whichever was decoded first.
  return { moments, pixelDigests, broken: new Map([...broken].sort(([left], [right]) => left - right)) };
}

/**
 * Why a file cannot be decoded, found out with nothing else under way: libvips has one place for the errors of all threads,
 * from which each would take another's reason, or none.
 */
async function reasonOf(path: string, shape: ImageShape & { readonly fit: ImageFit }): Promise<string> {
  try {
    await decodeQueued(path, shape);
  } catch (error) {
    if (error instanceof DataError) return error.reason;
    throw error;
  }
  return 'could not be decoded at first, and could afterwards: was it being written?';
}
