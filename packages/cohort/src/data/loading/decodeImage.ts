/** Decodes one image file to the pixels a network takes, so that prediction accepts what people have: photos, scans, icons. */
import type { ImageFit, ImageShape } from '../dataset.ts';
import { DataError, errorText } from '../errors.ts';
import { readDataFile } from './readFile.ts';

/** The pixels to make of an image file. */
export interface DecodeOptions extends ImageShape {
  /** `fill` (default) stretches to the size asked for; `cover` keeps the proportions and cuts off what stands out. */
  fit?: ImageFit;
  /** Larger images (width x height) are refused before their pixels are decoded; by default 268 million. */
  maximumPixels?: number;
}

/** Libvips' own default, about 16,383 x 16,383. */
const DEFAULT_MAXIMUM_PIXELS = 0x3fff * 0x3fff;
const MAXIMUM_FILE_BYTES = 512 * 1024 * 1024;

/**
 * Reads an image file (JPEG, PNG, WebP, TIFF, GIF, AVIF, SVG) as raw 8-bit pixels `[C, H, W]`: turned upright by its EXIF
 * orientation, laid on white where it is transparent, converted to sRGB (from CMYK, 16 bits, a palette or grey), resized.
 * One channel means luminance (ITU-R 601, as Pillow's mode L).
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
  const pixels = await decodeRgb(await loadSharp(), content, path, options); // [H, W, 3]
  return options.channels === 1 ? luminance(pixels) : planes(pixels);
}

/** Sharp, set up for many images at once: see {@link loadSharp}. */
export type Sharp = typeof import('sharp').default;

/**
 * Loads sharp and lets each image have one thread: the images of a batch keep every core busy, and threads inside of one
 * image would only wait for each other. Libvips' cache is off, since it goes by path and would return old pixels of a
 * file that has changed.
 */
export async function loadSharp(): Promise<Sharp> {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  return sharp;
}

/**
 * As {@link decodeImage}, to the same pixels, but sharp reads the file by itself. The whole work then waits in libuv's
 * queue from the moment of the call, and its threads go on while JavaScript is busy with a training step.
 * @throws {@link DataError} as `decodeImage`.
 */
export async function decodeQueued(sharp: Sharp, path: string, options: DecodeOptions): Promise<Uint8Array> {
  let pixels: Buffer;
  try {
    pixels = await decodeRgb(sharp, path, path, options); // [H, W, 3]
  } catch {
    // Reading it ourselves tells missing, empty and forbidden files apart.
    return decodeImage(path, options);
  }
  return options.channels === 1 ? luminance(pixels) : planes(pixels);
}

async function decodeRgb(
  sharp: Sharp,
  content: Buffer | string,
  path: string,
  options: DecodeOptions,
): Promise<Buffer> {
  const maximumPixels = options.maximumPixels ?? DEFAULT_MAXIMUM_PIXELS;
  try {
    return await sharp(content, { limitInputPixels: maximumPixels, failOn: 'error' })
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .resize(options.width, options.height, { fit: options.fit ?? 'fill' })
      .raw({ depth: 'uchar' })
      .toBuffer();
  } catch (error) {
    const reason = (errorText(error).split('\n')[0] ?? '').trim();
    if (reason.includes('exceeds pixel limit')) {
      throw new DataError('tooLarge', {
        operation: `decoding image ${path}`,
        expected: `at most ${maximumPixels} pixels`,
        received: 'more',
        remedy: 'Make the image smaller first.',
        path,
        cause: error,
      });
    }
    throw new DataError('decode', {
      operation: `decoding image ${path}`,
      expected: 'a whole JPEG, PNG, WebP, TIFF, GIF, AVIF or SVG image',
      received: `a file that cannot be decoded (${reason})`,
      remedy: 'Open it in an image viewer to see whether it is damaged, and save it again as PNG or JPEG.',
      path,
      cause: error,
    });
  }
}

/** `[H, W, 3] -> [1, H, W]`; weights in 1/65536 so that grey stays exactly itself. */
function luminance(pixels: Buffer): Uint8Array {
  const result = new Uint8Array(pixels.length / 3);
  for (let index = 0; index < result.length; index += 1) {
    const red = pixels[3 * index] ?? 0;
    const green = pixels[3 * index + 1] ?? 0;
    const blue = pixels[3 * index + 2] ?? 0;
    result[index] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
  }
  return result;
}

/** `[H, W, 3] -> [3, H, W]`. */
function planes(pixels: Buffer): Uint8Array {
  const planeSize = pixels.length / 3;
  const result = new Uint8Array(pixels.length);
  // A plain loop: this runs between training steps, and an iterator costs ten times as much.
  for (let index = 0, from = 0; index < planeSize; index += 1, from += 3) {
    result[index] = pixels[from] ?? 0;
    result[planeSize + index] = pixels[from + 1] ?? 0;
    result[2 * planeSize + index] = pixels[from + 2] ?? 0;
  }
  return result;
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
