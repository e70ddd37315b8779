/** Ink to light: CMYK as browsers and Pillow convert it, without a colour profile, so that every platform agrees. */
import { PreprocessError } from './errors.ts';
import { multiplyBytes } from './flatten.ts';
import type { PixelImage } from './image.ts';

/**
 * Red, green and blue of inks `[H, W, 4]`: `red = (255 - cyan) (255 - black) / 255`, rounded to the nearest. Colour profiles
 * are ignored, as browsers ignore those of CMYK.
 * @param ink 255 is full ink; JPEG files by Adobe hold the inverse, which most decoders turn round
 */
export function cmykToRgb(width: number, height: number, ink: Uint8Array): PixelImage {
  if (ink.length !== width * height * 4) {
    throw new PreprocessError(
      `${width} x ${height} pixels of CMYK have ${width * height * 4} samples, but ${ink.length} were given`,
      'Pass four bytes per pixel.',
    );
  }
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < ink.length; from += 4, to += 3) {
    const light = 255 - (ink[from + 3] ?? 0);
    data[to] = multiplyBytes(255 - (ink[from] ?? 0), light);
    data[to + 1] = multiplyBytes(255 - (ink[from + 1] ?? 0), light);
    data[to + 2] = multiplyBytes(255 - (ink[from + 2] ?? 0), light);
  }
  return { width, height, channels: 3, data };
}
