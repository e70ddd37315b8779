/** Finds pictures on which nothing can be seen once they are decoded: masks of zeros and ones, transparent pictures, white on transparent. */
import type { ImageShape } from '../../dataset.ts';
import { readPicture, type Sharp } from '../../decode/picture.ts';
import { loadSharp } from '../../loading/decodeImage.ts';
import { mapPool } from '../../loading/pool.ts';
import { readDataFile } from '../../loading/readFile.ts';
import { imagesInFlight, MAXIMUM_FILE_BYTES } from '../inspect.ts';
import { countOf, firstNames, type FoundImage } from '../listing.ts';
import type { Moments } from './moments.ts';

/** Sum of squares by sum, which is the mean value where there is light: below it a picture is black to the eye. */
const DARKEST = 8;
/** White pictures whose files are opened again to see whether they are transparent. */
const MOST_OPENED = 500;
const MAXIMUM_PIXELS = 0x3fff * 0x3fff;

/** Warnings, a sentence each. @param broken indices of pictures that have no moments */
export async function blankWarnings(
  images: readonly FoundImage[],
  { moments, shape, broken }: BlankSearch,
  signal?: AbortSignal,
): Promise<string[]> {
  const { channels, height, width } = shape;
  const every = (index: number, test: (sum: number, squares: number) => boolean): boolean =>
    Array.from({ length: channels }, (_, channel) => 2 * (index * channels + channel)).every((at) =>
      test(moments[at] ?? 0, moments[at + 1] ?? 0),
    );
  const whole = [...images.keys()].filter((index) => !broken.has(index));
  const dark = whole.filter((index) => every(index, (sum, squares) => squares <= DARKEST * sum));
  const white = whole.filter((index) => every(index, (sum) => sum === 255 * height * width));
  const { full, partial } = await transparentAmong(images, white, signal);
  const shown = (indices: readonly number[]): string =>
    `${indices.length < whole.length ? '' : 'all of them, '}${firstNames(indices.map((index) => images[index]?.name ?? ''))}`;
  return [
    ...(dark.length > 0
      ? [
          `${countOf(dark.length, 'image is', 'images are')} black to the eye, with values close to 0 of 255: ${shown(dark)}. Masks of 0 and 1 or of class numbers must be scaled to the range from 0 to 255 first.`,
        ]
      : []),
    ...(full.length > 0
      ? [
          `${countOf(full.length, 'image is', 'images are')} fully transparent, and blank on the white that transparent pictures are laid on: ${shown(full)}. Save them again with their content, or take them out.`,
        ]
      : []),
    ...(partial.length > 0
      ? [
          `${countOf(partial.length, 'image is', 'images are')} white on transparent, and blank on the white that transparent pictures are laid on: ${shown(partial)}. Lay them on another colour first.`,
        ]
      : []),
  ];
}

/** Where blank pictures are looked for. */
export interface BlankSearch {
  readonly moments: Moments;
  readonly shape: ImageShape;
  readonly broken: ReadonlyMap<number, string>;
}

/** Of white pictures those that are transparent everywhere, and those that are so in part. */
async function transparentAmong(
  images: readonly FoundImage[],
  white: readonly number[],
  signal?: AbortSignal,
): Promise<{ full: number[]; partial: number[] }> {
  if (white.length === 0) return { full: [], partial: [] };
  const sharp = await loadSharp();
  const opened = white.slice(0, MOST_OPENED);
  const found = await mapPool(
    opened,
    imagesInFlight(),
    (index) => transparencyOf(sharp, images[index]?.path ?? ''),
    signal,
  );
  return {
    full: opened.filter((_, place) => found[place] === 'full'),
    partial: opened.filter((_, place) => found[place] === 'partial'),
  };
}

async function transparencyOf(sharp: Sharp, path: string): Promise<'full' | 'partial' | 'none'> {
  try {
    const content = await readDataFile(path, {
      operation: 'looking at image',
      maximumBytes: MAXIMUM_FILE_BYTES,
      remedyWhenMissing: 'Check the path.',
    });
    const { data, channels } = await readPicture(() => Promise.resolve(sharp), content, MAXIMUM_PIXELS);
    if (channels % 2 !== 0) return 'none';
    const alpha = data.filter((_, index) => index % channels === channels - 1);
    if (alpha.every((value) => value === 0)) return 'full';
    return alpha.some((value) => value === 0) ? 'partial' : 'none';
  } catch {
    // It was whole when it was decoded, and is not any more.
    return 'none';
  }
}
