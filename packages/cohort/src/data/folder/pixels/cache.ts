/**
 * The disk cache of decoded images: one file of pixels `[N, C, H, W]` that is mapped into memory, and what was found while
 * decoding. It is built next to its final place and renamed, and is used only while listing, sizes and times of the files match.
 */
import { randomBytes, createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { isProcessRunning } from '@cohort-ml/runs';
import { cohortCacheFolder } from '@cohort-ml/torch/setup';
import * as z from 'zod';
import type { ImageShape } from '../../dataset.ts';
import { imageBytes } from '../../dataset.ts';
import { DataError } from '../../errors.ts';
import type { Variables } from '../../places.ts';

const indexFile = 'index.json';
const pixelFile = 'pixels.u8';
const momentFile = 'moments.f64';

const count = z.int().min(0);
const indexSchema = z.object({
  version: z.literal(1),
  listing: z.string(),
  images: count,
  channels: z.union([z.literal(1), z.literal(3)]),
  height: count,
  width: count,
  /** By index. */
  broken: z.array(z.tuple([count, z.string()])),
  animated: z.array(count),
  /** What was noticed while decoding, a sentence each. */
  remarks: z.array(z.string()).optional(),
  bytesDigests: z.array(z.string().nullable()),
  pixelDigests: z.array(z.string().nullable()),
});

/** What is known of a decoded set besides its pixels. */
export type CacheIndex = z.output<typeof indexSchema>;

/** A cache that fits the files as they are now. */
export interface OpenCache {
  readonly index: CacheIndex;
  readonly moments: Float64Array;
  readonly pixelPath: string;
}

/** `$XDG_CACHE_HOME/cohort/images`, or in `~/.cache`. */
export function imageCacheFolder(environment: Variables = process.env): string {
  return join(cohortCacheFolder(environment), 'images');
}

/** The folder of one cache: the images' own name for people, and a hash of where they are and what is made of them. */
export function cachePath(
  source: string,
  settings: Readonly<Record<string, unknown>>,
  environment?: Variables,
): string {
  const path = resolve(source);
  const hash = createHash('sha256')
    .update(JSON.stringify([path, settings]))
    .digest('hex');
  const name = basename(path)
    .replaceAll(/[^\p{L}\p{N}._-]+/gu, '_')
    .slice(0, 40);
  return join(imageCacheFolder(environment), `${name}-${hash.slice(0, 12)}`);
}

/** The cache in `folder`, or null where there is none, it is damaged, or the files have changed since. */
export async function openCache(folder: string, listing: string): Promise<OpenCache | null> {
  try {
    const index = indexSchema.parse(JSON.parse(await readFile(join(folder, indexFile), 'utf8')));
    const pixelPath = join(folder, pixelFile);
    const { size } = await stat(pixelPath);
    const bytes = await readFile(join(folder, momentFile));
    const fits =
      index.listing === listing &&
      size === index.images * imageBytes(index) &&
      bytes.length === index.images * index.channels * 16 &&
      index.pixelDigests.length === index.images &&
      index.bytesDigests.length === index.images;
    // Copied, because a Float64Array must begin at a multiple of eight.
    return fits ? { index, moments: new Float64Array(new Uint8Array(bytes).buffer), pixelPath } : null;
  } catch {
    // Whatever is wrong with it, it can be built again.
    return null;
  }
}

/** A cache that is being built. */
export class CacheBuilder {
  readonly #folder: string;
  readonly #partial: string;
  readonly #file: Awaited<ReturnType<typeof open>>;
  readonly #size: number;

  private constructor(folder: string, partial: string, file: Awaited<ReturnType<typeof open>>, size: number) {
    this.#folder = folder;
    this.#partial = partial;
    this.#file = file;
    this.#size = size;
  }

  /** Begins beside `folder`. @throws {DataError} `unreadable` when nothing can be written there. */
  static async begin(folder: string, shape: ImageShape): Promise<CacheBuilder> {
    const partial = `${folder}.partial-${process.pid}-${randomBytes(4).toString('hex')}`;
    try {
      await mkdir(partial, { recursive: true });
      await removeLeftovers(folder);
      return new CacheBuilder(folder, partial, await open(join(partial, pixelFile), 'w'), imageBytes(shape));
    } catch (error) {
      throw cannotWrite(folder, error);
    }
  }

  /** Writes the pixels of image `index`. */
  async write(index: number, pixels: Uint8Array): Promise<void> {
    try {
      await this.#file.write(pixels, 0, this.#size, index * this.#size);
    } catch (error) {
      throw cannotWrite(this.#folder, error);
    }
  }

  /** Puts the finished cache in its place, instead of an older one. */
  async finish(index: CacheIndex, moments: Float64Array): Promise<OpenCache> {
    try {
      // A broken last image has written nothing.
      await this.#file.truncate(index.images * this.#size);
      await this.#file.sync();
      await this.#file.close();
      await writeFile(join(this.#partial, momentFile), new Uint8Array(moments.buffer));
      await writeFile(join(this.#partial, indexFile), JSON.stringify(index));
      await rm(this.#folder, { recursive: true, force: true });
      await rename(this.#partial, this.#folder);
    } catch (error) {
      throw cannotWrite(this.#folder, error);
    }
    return { index, moments, pixelPath: join(this.#folder, pixelFile) };
  }

  /** Takes away what was begun. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await rm(this.#partial, { recursive: true, force: true });
  }
}

/** Bytes that can still be written where the cache of `folder` would be; null where that is not known. */
export async function freeDiskBytes(folder: string): Promise<number | null> {
  for (let place = folder; ; place = dirname(place)) {
    try {
      const { bavail, bsize } = await statfs(place);
      return bavail * bsize;
    } catch {
      if (dirname(place) === place) return null;
    }
  }
}

/** Removes what processes that are gone have left of this cache. */
async function removeLeftovers(folder: string): Promise<void> {
  const parent = dirname(folder);
  const beginning = `${basename(folder)}.partial-`;
  for (const name of await readdir(parent)) {
    if (!name.startsWith(beginning) || isProcessRunning(Number.parseInt(name.slice(beginning.length), 10)))
      continue;
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

function cannotWrite(folder: string, error: unknown): DataError {
  return new DataError('unreadable', {
    operation: `writing the cache of decoded images ${folder}`,
    expected: 'a folder that can be written and enough room on its disk',
    received: errorText(error),
    remedy: 'Free some space, set XDG_CACHE_HOME to another disk, or set data.cache=none.',
    path: folder,
    cause: error,
  });
}
