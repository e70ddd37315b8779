/** Decodes one image file to the pixels a network takes, so that prediction accepts what people have: photos, scans, icons. */
import { errorText } from '@cohort-ml/errors';
import { preprocess } from '@cohort-ml/runtime';
import type { ImageShape } from '../dataset.ts';
import type { DecodeOptions } from '../decode/options.ts';
import { Limit } from '../decode/limit.ts';
import { decodeInWorker } from '../decode/workers.ts';
import { readPicture, TooManyPixels, type Sharp } from '../decode/picture.ts';
import { SampleError } from '../decode/samples.ts';
import { DataError } from '../errors.ts';
import { signatureOf } from '../folder/imageSignature.ts';
import { readDataFile } from './readFile.ts';

export type { DecodeOptions } from '../decode/options.ts';
export type { Sharp } from '../decode/picture.ts';

/** The resampler, as checkpoints name it: its filter, and a version that goes up when its bytes change. */
export const IMAGE_RESIZE = { filter: 'lanczos3', version: 1 } as const;
/** Libvips' own default, about 16,383 x 16,383. */
const DEFAULT_MAXIMUM_PIXELS = 0x3fff * 0x3fff;
const MAXIMUM_FILE_BYTES = 512 * 1024 * 1024;

/**
 * Reads an image file (JPEG, PNG, WebP, TIFF, GIF, AVIF, SVG, BMP, Netpbm) as raw 8-bit pixels `[C, H, W]`: turned upright by
 * its EXIF orientation, scaled to 8 bits by the range that its values run over, laid on white where it is transparent,
 * resized by the resampler of `@cohort-ml/runtime`. CMYK is converted and colour profiles are ignored as by Pillow. One
 * channel means luminance (ITU-R 601, as Pillow's mode L).
 *
 * No inversion is done: Fashion-MNIST's pictures are white on black, so a photo of clothing on a bright ground has to be
 * inverted by whoever passes it to a network trained on them.
 * @throws {@link DataError} naming the file: `missing`, `unreadable`, `empty` (0 bytes), `decode`, `tooLarge`; `argument`
 *   for a shape that cannot be made.
 */
export async function decodeImage(path: string, options: DecodeOptions): Promise<Uint8Array> {
  checkShape(options);
  const content = await readDataFile(path, {
    operation: 'decoding image',
    maximumBytes: MAXIMUM_FILE_BYTES,
    remedyWhenMissing: 'Check the path.',
  });
  const maximumPixels = options.maximumPixels ?? DEFAULT_MAXIMUM_PIXELS;
  try {
    const picture = await readPicture(loadSharp, content, maximumPixels);
    const { channels, height, width, fit = 'fill' } = options;
    return preprocess(picture, { channels, height, width, fit, filter: IMAGE_RESIZE.filter });
  } catch (error) {
    throw pointerError(path, content) ?? decodeError(path, maximumPixels, error);
  }
}

/**
 * Loads sharp and lets each image have one thread: the images of a batch keep every core busy, and threads inside of one
 * image would only wait for each other. Libvips' cache is off, since it goes by path and would return old pixels of a
 * file that has changed.
 */
export async function loadSharp(): Promise<Sharp> {
  if (loadedSharp !== undefined) return loadedSharp;
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  loadedSharp = sharp;
  return sharp;
}

/** To ask for a module again takes about as long as a small image. */
let loadedSharp: Sharp | undefined;

/**
 * As {@link decodeImage}, to the same pixels, but in a thread of its own, which goes on while JavaScript is busy with a
 * training step.
 * @throws {@link DataError} as `decodeImage`.
 */
export async function decodeQueued(path: string, options: DecodeOptions): Promise<Uint8Array> {
  const pixels = await decodeInWorker(path, options);
  // Decoding it here again raises the error that says what is wrong.
  return pixels ?? decodedHere.run(() => decodeImage(path, options));
}

const decodedHere = new Limit(8);

/** Of a file that only stands for an image that Git LFS keeps; null for any other. */
function pointerError(path: string, content: Uint8Array): DataError | null {
  if (signatureOf(content)?.kind !== 'pointer') return null;
  return new DataError('decode', {
    operation: `decoding image ${path}`,
    expected: 'an image',
    received: 'a pointer of Git LFS instead of the image',
    remedy: 'Run git lfs pull in the repository that it comes from.',
    path,
  });
}

/** What sharp says of an image, without the lines that libvips adds for every part of the file that it gave up. */
export function libraryReason(error: unknown): string {
  return (errorText(error).split('\n')[0] ?? '').trim();
}

function decodeError(path: string, maximumPixels: number, error: unknown): DataError {
  const operation = `decoding image ${path}`;
  const reason = libraryReason(error);
  if (error instanceof TooManyPixels || reason.includes('exceeds pixel limit')) {
    return new DataError('tooLarge', {
      operation,
      expected: `at most ${maximumPixels} pixels`,
      received: 'more',
      remedy: 'Make the image smaller first.',
      path,
      cause: error,
    });
  }
  if (error instanceof SampleError) {
    return new DataError('decode', {
      operation,
      expected: 'an image whose values can be shown as 8-bit grey or colour',
      received: `one that cannot: ${reason}`,
      remedy:
        'Save it as 8-bit or 16-bit PNG, scaled from black to white, with the bands that you want to be seen.',
      path,
      cause: error,
    });
  }
  return new DataError('decode', {
    operation,
    expected: 'a complete JPEG, PNG, WebP, TIFF, GIF, AVIF, SVG, BMP or Netpbm image',
    received: `a file that cannot be decoded (${reason})`,
    remedy: 'Open it in an image viewer to see whether it is damaged, and save it again as PNG or JPEG.',
    path,
    cause: error,
  });
}

function checkShape({ channels, height, width }: ImageShape): void {
  const sizesFit = [height, width].every((size) => Number.isInteger(size) && size >= 1 && size <= 16_384);
  if ((channels === 1 || channels === 3) && sizesFit) return;
  throw new DataError('argument', {
    operation: 'decoding an image',
    expected: '1 or 3 channels and a height and width of 1 to 16384',
    received: `${channels} channels, ${height} x ${width}`,
    remedy: "Pass the shape of the network's input.",
  });
}
