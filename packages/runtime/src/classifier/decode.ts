/** Gets pixels out of whatever holds an image: files, elements of a page, or pixels. */
import { hasFileSystem } from '../environment.ts';
import { ImageDecodeError, otherThanObject } from '../errors.ts';
import type { PixelImage } from '../preprocess/index.ts';
import { readLocation } from './files.ts';
import type { Sharp } from './sharpDecode.ts';

/** Interleaved 8-bit pixels, e.g. `ImageData`. The number of channels follows from the length where it is not given. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly channels?: 1 | 2 | 3 | 4;
}

/**
 * An image: pixels; an element, bitmap, canvas or video frame of a page; an encoded file as a blob or bytes; or its
 * address or path.
 */
export type ImageSource = Pixels | CanvasImageSource | Blob | ArrayBuffer | Uint8Array | URL | string;

/** Largest number of pixels that are decoded unless told otherwise: 100 million. */
export const defaultMostPixels = 100_000_000;

const isPixels = (source: ImageSource): source is Pixels =>
  typeof source === 'object' && 'data' in source && 'width' in source && ArrayBuffer.isView(source.data);

/**
 * Pixels of an image, upright by its EXIF orientation.
 *
 * @throws {ImageDecodeError} for anything that cannot be decoded, has no pixels, or has more than `mostPixels`
 * @throws {MissingFileError} for an address or path that cannot be read
 */
export async function decodeImage(source: ImageSource, mostPixels = defaultMostPixels): Promise<PixelImage> {
  if (typeof source === 'string' || source instanceof URL) {
    const bytes = await readLocation(source, 'Check the address or path of the image.');
    return decodeBytes(bytes, String(source), mostPixels);
  }
  // Callers in JavaScript have no compiler that would say so.
  const other = otherThanObject(source);
  if (other !== null) {
    throw new ImageDecodeError(
      `${other} is no image. Pass pixels, an element of a page, a blob, the bytes of a file, or an address or path.`,
    );
  }
  if (source instanceof Uint8Array || source instanceof ArrayBuffer) {
    return decodeBytes(new Uint8Array(source), 'The image', mostPixels);
  }
  if (isPixels(source)) return fromPixels(source, mostPixels);
  if (typeof Blob !== 'undefined' && source instanceof Blob) return decodeBlob(source, mostPixels);
  return drawElement(source as CanvasImageSource, mostPixels);
}

function checkSize(width: number, height: number, mostPixels: number): void {
  if (width < 1 || height < 1) {
    throw new ImageDecodeError(
      'The image has no pixels yet. Wait until it is loaded, or until the video plays.',
    );
  }
  if (width * height > mostPixels) {
    throw new ImageDecodeError(
      `The image has ${width} by ${height} pixels; at most ${mostPixels} are read. Make it smaller, or raise \`mostPixels\`.`,
    );
  }
}

function fromPixels(source: Pixels, mostPixels: number): PixelImage {
  const { width, height, data } = source;
  checkSize(width, height, mostPixels);
  const count = source.channels ?? data.length / (width * height);
  if ((count !== 1 && count !== 2 && count !== 3 && count !== 4) || data.length !== width * height * count) {
    throw new ImageDecodeError(
      `${data.length} samples do not fit ${width} by ${height} pixels. Pass one, two, three or four for each pixel, row by row.`,
    );
  }
  return { width, height, channels: count, data };
}

async function decodeBytes(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  mostPixels: number,
): Promise<PixelImage> {
  return hasFileSystem()
    ? decodeWithSharp(bytes, name, mostPixels)
    : decodeBlob(new Blob([bytes]), mostPixels);
}

async function loadSharp(): Promise<Sharp> {
  const name = 'sharp';
  try {
    const module = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as { default: Sharp };
    return module.default;
  } catch (error) {
    throw new ImageDecodeError(
      'Image files are decoded by sharp, which is not installed. Run `npm install sharp`, or pass decoded pixels.',
      { cause: error },
    );
  }
}

/** Kinds that training reads by readers of its own and browsers mostly not at all, by their first bytes. */
const refusedKinds: readonly (readonly [string, RegExp])[] = [
  ['TIFF', /^(II[*+]\0|MM\0[*+])/],
  ['BMP', /^BM/],
  ['Netpbm', /^P[1-7][\s#]/],
];

/**
 * The first frame of a file as 8-bit pixels, upright, as training reads it. Only Node needs this, so it is loaded when it is called.
 *
 * @param sharp the module
 * @throws {Error} with sharp's reason for a file that cannot be decoded or has more than `mostPixels`
 */
export async function decodeBySharp(
  sharp: Sharp,
  bytes: Uint8Array,
  mostPixels: number,
): Promise<PixelImage> {
  sharpDecoder ??= import('./sharpDecode.ts');
  const { decodeImageFile } = await sharpDecoder;
  return decodeImageFile(sharp, bytes, mostPixels);
}

/** To ask for a module again takes about as long as a small image. */
let sharpDecoder: Promise<typeof import('./sharpDecode.ts')> | undefined;

async function decodeWithSharp(bytes: Uint8Array, name: string, mostPixels: number): Promise<PixelImage> {
  const start = String.fromCharCode(...bytes.subarray(0, 4));
  const refused = refusedKinds.find(([, pattern]) => pattern.test(start));
  if (refused !== undefined) {
    throw new ImageDecodeError(
      `${name} is a ${refused[0]} file, which is not read here. Save it as PNG or JPEG.`,
    );
  }
  const sharp = await loadSharp();
  try {
    return fromPixels(await decodeBySharp(sharp, bytes, mostPixels), mostPixels);
  } catch (error) {
    if (error instanceof ImageDecodeError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImageDecodeError(`${name} could not be decoded: ${reason}. Use a JPEG, PNG or WebP file.`, {
      cause: error,
    });
  }
}

async function decodeBlob(blob: Blob, mostPixels: number): Promise<PixelImage> {
  if (typeof createImageBitmap !== 'function') {
    return decodeWithSharp(new Uint8Array(await blob.arrayBuffer()), 'The image', mostPixels);
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      imageOrientation: 'from-image',
      colorSpaceConversion: 'none',
      premultiplyAlpha: 'none',
    });
  } catch (error) {
    throw new ImageDecodeError('This file could not be decoded as an image. Use a JPEG, PNG or WebP file.', {
      cause: error,
    });
  }
  try {
    return drawElement(bitmap, mostPixels);
  } finally {
    bitmap.close();
  }
}

/** Natural size of anything that can be drawn. */
function sizeOf(source: CanvasImageSource): { width: number; height: number } {
  if ('videoWidth' in source) return { width: source.videoWidth, height: source.videoHeight };
  if ('naturalWidth' in source) return { width: source.naturalWidth, height: source.naturalHeight };
  if ('displayWidth' in source) return { width: source.displayWidth, height: source.displayHeight };
  const { width, height } = source as { width: unknown; height: unknown };
  return { width: Number(width), height: Number(height) };
}

function drawElement(source: CanvasImageSource, mostPixels: number): PixelImage {
  const { width, height } = sizeOf(source);
  checkSize(Number.isFinite(width) ? width : 0, Number.isFinite(height) ? height : 0, mostPixels);
  const canvas = createCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null || !('drawImage' in context))
    throw new ImageDecodeError('The browser gave no canvas to read pixels from. Use a smaller image.');
  try {
    context.drawImage(source, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    return { width, height, channels: 4, data };
  } catch (error) {
    throw new ImageDecodeError(
      'The pixels of this image may not be read: it comes from another site. Load it as a file, or with `crossorigin`.',
      { cause: error },
    );
  }
}

function createCanvas(width: number, height: number): OffscreenCanvas | HTMLCanvasElement {
  if (typeof OffscreenCanvas === 'function') return new OffscreenCanvas(width, height);
  if (typeof document === 'undefined') {
    throw new ImageDecodeError('This environment has no canvas. Pass decoded pixels.');
  }
  return Object.assign(document.createElement('canvas'), { width, height });
}
