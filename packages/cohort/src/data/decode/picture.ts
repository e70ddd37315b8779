/** Decodes an image file of any kind to upright 8-bit pixels in its own size, by whichever reader knows its kind. */
import { CohortError } from '@cohort-ml/errors';
import { decodeBySharp, type PixelImage } from '@cohort-ml/runtime';
import { isBmp, readBmpHeader, readBmpPixels } from './bmp.ts';
import { isNetpbm, readNetpbmHeader, readNetpbmPixels } from './netpbm.ts';
import { readSmallPng } from './smallPng.ts';
import { isDeepTiff, isGreyTiff, isOrdinaryTiff, isTiff, openTiff, readTiffPixels } from './tiff.ts';

/** Sharp, set up for many images at once. */
export type Sharp = typeof import('sharp').default;

/** What an image file says of itself. */
export interface PictureFacts {
  /** In pixels, upright. */
  readonly width: number;
  readonly height: number;
  readonly isGrey: boolean;
  /** It has several frames or pages, of which the first is used. */
  readonly isAnimated: boolean;
  /** Its samples have more than 8 bits, and the file does not say which values are black and white. */
  readonly isDeep: boolean;
}

/** Refused for its number of pixels. */
export class TooManyPixels extends CohortError {
  override readonly name = 'TooManyPixels';
}

/** Reads an image's header. @throws {Error} with the reason in words, for what is no image */
export async function lookAtPicture(sharp: Sharp, content: Buffer): Promise<PictureFacts> {
  if (isTiff(content)) {
    const page = await openTiff(content);
    const isTurned = page.orientation >= 5 && page.orientation <= 8;
    const [width, height] = isTurned ? [page.height, page.width] : [page.width, page.height];
    return { width, height, isGrey: isGreyTiff(page), isAnimated: page.pages > 1, isDeep: isDeepTiff(page) };
  }
  if (isNetpbm(content)) {
    const { width, height, bands } = readNetpbmHeader(content);
    return { width, height, isGrey: bands <= 2, isAnimated: false, isDeep: false };
  }
  if (isBmp(content)) {
    const { width, height } = readBmpHeader(content);
    return { width, height, isGrey: false, isAnimated: false, isDeep: false };
  }
  const { autoOrient, space, pages, depth } = await sharp(content, { limitInputPixels: false }).metadata();
  return {
    ...autoOrient,
    isGrey: isGreySpace(space),
    isAnimated: (pages ?? 1) > 1,
    isDeep: depth === 'ushort',
  };
}

/**
 * The first frame as 8-bit pixels, upright, with alpha where it has some. Colour profiles are ignored, as by Pillow, so that
 * every platform can compute the same. Sharp is not loaded for what is read without it.
 * @throws {TooManyPixels} before anything is decoded
 * @throws {SampleError} where the values of its samples cannot be shown
 * @throws {Error} with the reason in words, for a damaged file
 */
export async function readPicture(
  loadSharp: () => Promise<Sharp>,
  content: Buffer,
  maximumPixels: number,
): Promise<PixelImage> {
  const check = ({ width, height }: { width: number; height: number }): void => {
    if (width * height > maximumPixels) throw new TooManyPixels(`more than ${maximumPixels} pixels`);
  };
  if (isTiff(content)) {
    const page = await openTiff(content);
    check(page);
    if (!isOrdinaryTiff(page)) return readTiffPixels(page);
  } else if (isNetpbm(content)) {
    const header = readNetpbmHeader(content);
    check(header);
    return readNetpbmPixels(content, header);
  } else if (isBmp(content)) {
    const header = readBmpHeader(content);
    check(header);
    return readBmpPixels(content, header);
  }
  return readSmallPng(content, maximumPixels) ?? decodeBySharp(await loadSharp(), content, maximumPixels);
}

function isGreySpace(space: string | undefined): boolean {
  return space === 'b-w' || space === 'grey16';
}
