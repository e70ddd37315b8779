/** Decides where the decoded images of a listing are kept (memory, disk cache, nowhere) and puts them there. */
import { freemem } from 'node:os';
import {
  imageBytes,
  type CacheMode,
  type DatasetOptions,
  type ImageFit,
  type ImageShape,
} from '../../dataset.ts';
import { DataError } from '../../errors.ts';
import type { PixelSource } from '../../loading/pixelSource.ts';
import { CacheBuilder, cachePath, freeDiskBytes, openCache, type OpenCache } from './cache.ts';
import { blankWarnings } from './blank.ts';
import { decodeAll } from './decodeAll.ts';
import type { Moments } from './moments.ts';
import { rangeWarnings } from './ranges.ts';
import { decideShape, inspectImages, type Inspection } from '../inspect.ts';
import { countOf, firstNames, listingHash, type ImageListing } from '../listing.ts';
import { FilePixels, mapPixels, TensorPixels, tensorOf } from './sources.ts';

/** A decoded set: every array by the index of the listing's images. */
export interface StoredSet {
  readonly shape: ImageShape;
  /** All images, the broken ones too. */
  readonly pixels: PixelSource;
  readonly broken: ReadonlyMap<number, string>;
  readonly pixelDigests: readonly (string | null)[];
  readonly bytesDigests: readonly (string | null)[];
  /** Images with a side shorter than the shape's; 0 where that is not known any more. */
  readonly smaller: number;
  readonly dispose: () => void;
}

/** Goes up whenever the same files give other pixels, so that caches of the old ones are not used; 2: our own resize. */
export const PIXEL_VERSION = 2;
/** Typed arrays end here. */
const LARGEST_ARRAY = 2 ** 32;
/** Networks, gradients and the page cache want the rest. */
const MEMORY_SHARE = 1 / 4;

/** Decodes a listing's images, or opens the cache where that was done before. @throws {@link DataError} */
export async function decodeListing(
  listing: ImageListing,
  fit: ImageFit,
  options: DatasetOptions,
): Promise<StoredSet> {
  const set = await storeListing(listing, fit, options);
  try {
    const blank = await blankWarnings(listing.images, set, options.signal);
    for (const warning of [...set.remarks, ...blank])
      options.reporter?.warning(`${listing.source}: ${warning}`);
    return set;
  } catch (error) {
    set.dispose();
    throw error;
  }
}

/** A set with what {@link decodeListing} says of it. */
interface MeasuredSet extends StoredSet {
  readonly moments: Moments;
  readonly remarks: readonly string[];
}

async function storeListing(
  listing: ImageListing,
  fit: ImageFit,
  options: DatasetOptions,
): Promise<MeasuredSet> {
  const { cache = 'auto', imageSize = null, designSize = 32, environment, reporter, signal } = options;
  const hash = listingHash(listing);
  const folder = cachePath(
    listing.source,
    { version: PIXEL_VERSION, fit, imageSize, designSize },
    environment,
  );
  if (cache === 'auto' || cache === 'disk') {
    const opened = await openCache(folder, hash);
    if (opened !== null) {
      reporter?.message(`using the decoded images in ${folder}`);
      tellAnimated(listing, opened.index.animated, reporter);
      return mappedSet(opened);
    }
  }
  const paths = listing.images.map(({ path }) => path);
  const inspections = await inspectImages(paths, signal);
  const facts = inspections.map((inspection) => ('broken' in inspection ? null : inspection));
  const shape = {
    ...decideShape(
      facts.filter((fact) => fact !== null),
      imageSize,
      designSize,
    ),
    fit,
  };
  const animated = [...facts.keys()].filter((index) => facts[index]?.isAnimated);
  tellAnimated(listing, animated, reporter);
  const chosen = await choosePlace(cache, paths.length * imageBytes(shape), folder, options);
  const builder = chosen === 'disk' ? await beginCache(folder, shape, options) : null;
  const place = chosen === 'disk' && builder === null ? 'none' : chosen;
  reporter?.message(
    `decoding ${countOf(paths.length, 'image')} to ${shape.height} x ${shape.width} ${placeText(place, folder)}`,
  );
  const smaller = facts.filter(
    (fact) => fact !== null && (fact.width < shape.width || fact.height < shape.height),
  ).length;
  const skip = brokenOf(inspections);
  const bytesDigests = facts.map((fact) => fact?.bytesDigest ?? null);
  const deep = [...facts.keys()].filter((index) => facts[index]?.isDeep);
  const remarks = await rangeWarnings(listing.images, deep, signal);
  const common = { shape, reporter, signal };
  if (place === 'memory') {
    const size = imageBytes(shape);
    const all = new Uint8Array(paths.length * size);
    const decoded = await decodeAll(paths, skip, {
      ...common,
      keep: (index, pixels) => {
        all.set(pixels, index * size);
      },
    });
    const tensor = tensorOf(all, paths.length, shape);
    const pixels = new TensorPixels(tensor, decoded.moments, shape, everyRow(paths.length));
    const dispose = (): void => {
      tensor.dispose();
    };
    return { shape, pixels, ...decoded, bytesDigests, smaller, remarks, dispose };
  }
  if (builder === null) {
    const decoded = await decodeAll(paths, skip, { ...common, keep: () => undefined });
    const pixels = new FilePixels(paths, decoded.moments, shape, everyRow(paths.length));
    return { shape, pixels, ...decoded, bytesDigests, smaller, remarks, dispose: () => undefined };
  }
  try {
    const decoded = await decodeAll(paths, skip, {
      ...common,
      keep: (index, pixels) => builder.write(index, pixels),
    });
    const { channels, height, width } = shape;
    const set = mappedSet(
      await builder.finish(
        {
          version: 1,
          listing: hash,
          images: paths.length,
          channels: channels === 1 ? 1 : 3,
          height,
          width,
          broken: [...decoded.broken],
          animated,
          remarks,
          bytesDigests,
          pixelDigests: [...decoded.pixelDigests],
        },
        decoded.moments,
      ),
    );
    return { ...set, smaller };
  } catch (error) {
    await builder.abandon();
    throw error;
  }
}

function mappedSet({ index, moments, pixelPath }: OpenCache): MeasuredSet {
  const { channels, height, width, images, bytesDigests, pixelDigests, remarks = [] } = index;
  const shape = { channels, height, width };
  const tensor = mapPixels(pixelPath, images, shape);
  return {
    shape,
    pixels: new TensorPixels(tensor, moments, shape, everyRow(images)),
    broken: new Map(index.broken),
    bytesDigests,
    pixelDigests,
    smaller: 0,
    moments,
    remarks,
    dispose: () => {
      tensor.dispose();
    },
  };
}

/** A cache to fill; null where none can be written and `auto` may do without. */
async function beginCache(
  folder: string,
  shape: ImageShape,
  { cache = 'auto', reporter }: DatasetOptions,
): Promise<CacheBuilder | null> {
  try {
    return await CacheBuilder.begin(folder, shape);
  } catch (error) {
    if (cache !== 'auto' || !(error instanceof DataError)) throw error;
    reporter?.warning(`${error.message} Until then images are decoded again in every epoch.`);
    return null;
  }
}

type Place = Exclude<CacheMode, 'auto'>;

async function choosePlace(
  cache: CacheMode,
  bytes: number,
  folder: string,
  { memoryBytes, reporter }: DatasetOptions,
): Promise<Place> {
  if (cache === 'none') return cache;
  const fitsMemory = bytes <= LARGEST_ARRAY && bytes <= (memoryBytes ?? freeMemoryBytes() * MEMORY_SHARE);
  if (cache === 'memory' || (cache === 'auto' && fitsMemory)) {
    if (bytes <= LARGEST_ARRAY) return 'memory';
    throw new DataError('tooLarge', {
      operation: 'keeping decoded images in memory',
      expected: `at most ${mebibytes(LARGEST_ARRAY)}`,
      received: mebibytes(bytes),
      remedy: 'Set data.cache=disk, or make data.imageSize smaller.',
    });
  }
  const free = await freeDiskBytes(folder);
  if (free === null || free > bytes * 1.05) return 'disk';
  if (cache === 'disk') {
    throw new DataError('tooLarge', {
      operation: `writing the cache of decoded images ${folder}`,
      expected: `${mebibytes(bytes)} of free disk`,
      received: mebibytes(free),
      remedy: 'Free some space, set XDG_CACHE_HOME to another disk, or set data.cache=none.',
      path: folder,
    });
  }
  reporter?.warning(
    `decoded images (${mebibytes(bytes)}) fit neither into memory nor onto the disk of ${folder} (${mebibytes(free)} free): they are decoded again in every epoch.`,
  );
  return 'none';
}

/** What the system and the container, if any, can still give. */
function freeMemoryBytes(): number {
  const limit = process.constrainedMemory();
  const left = limit > 0 && limit < 2 ** 50 ? limit - process.memoryUsage().rss : Infinity;
  return Math.max(0, Math.min(freemem(), left));
}

function placeText(place: Place, folder: string): string {
  if (place === 'memory') return 'in memory';
  return place === 'disk' ? `in ${folder}` : 'once to check them; they will be decoded again in every epoch';
}

function mebibytes(bytes: number): string {
  const size = bytes / 2 ** 20;
  // With a tenth where rounding would make room and need look the same.
  return `${size < 100 ? size.toFixed(1) : Math.ceil(size).toLocaleString('en-US')} MiB`;
}

function brokenOf(inspections: readonly Inspection[]): ReadonlyMap<number, string> {
  return new Map(
    inspections.flatMap((inspection, index): [number, string][] =>
      'broken' in inspection ? [[index, inspection.broken]] : [],
    ),
  );
}

function everyRow(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, index) => index);
}

function tellAnimated(
  listing: ImageListing,
  animated: readonly number[],
  reporter: DatasetOptions['reporter'],
): void {
  if (animated.length === 0) return;
  const names = animated.map((index) => listing.images[index]?.name ?? '');
  reporter?.message(
    `${countOf(animated.length, 'image has', 'images have')} several frames or pages, of which the first is used: ${firstNames(names)}`,
  );
}
