/** Digests of the images of a split, by which the same image is recognised wherever it is stored. */
import { createHash } from 'node:crypto';
import { imageBytes, type ImagePixels, type ImageShape, type ImageSplit } from '../data/index.ts';

/** SHA-256 in hexadecimal, or the first digits of it. */
export interface ImageDigest {
  /** Of the pixels `[C, H, W]` as networks see them. */
  readonly pixels: string;
  /** Of the file's bytes, for an image that is one. */
  readonly file?: string;
}

/** One for each image; null where the pixels are neither in memory nor known by their files. */
export function imageDigests(split: ImageSplit<ImagePixels>, shape: ImageShape): ImageDigest[] | null {
  const { images, count, fileOf } = split;
  const positions = Array.from({ length: count }, (_, index) => index);
  if (fileOf !== undefined) {
    return positions.map((index) => {
      const { pixelDigest, bytesDigest } = fileOf(index);
      return { pixels: pixelDigest, file: bytesDigest };
    });
  }
  if (!(images instanceof Uint8Array)) return null;
  const size = imageBytes(shape);
  return positions.map((index) => ({
    pixels: createHash('sha256')
      .update(images.subarray(index * size, (index + 1) * size))
      .digest('hex'),
  }));
}
