/** Alpha and colour: lays transparent images on a background, and makes grey of colour, in integers. */
import type { PixelImage } from './image.ts';

/** Red, green and blue, 0 to 255. */
export type Background = readonly [number, number, number];

/** What transparent images are laid on unless told otherwise. */
export const WHITE: Background = [255, 255, 255];

/** `a b / 255`, rounded to the nearest, for whole numbers from 0 to 255. */
export function multiplyBytes(a: number, b: number): number {
  const product = a * b + 128;
  return (product + (product >> 8)) >> 8;
}

/**
 * Removes alpha: `round(colour alpha / 255) + round(background (255 - alpha) / 255)`, which on white is what a canvas that
 * was filled with white shows. Images without alpha are returned as they are.
 */
export function flatten(image: PixelImage, background: Background = WHITE): PixelImage {
  const { width, height, channels, data } = image;
  if (channels === 1 || channels === 3) return image;
  const [red, green, blue] = background;
  // Grey stays grey on a grey background.
  const isGrey = channels === 2 && red === green && green === blue;
  const outputs = isGrey ? 1 : 3;
  const flat = new Uint8Array(width * height * outputs);
  const ground = Uint8Array.of(red, green, blue);
  const step = channels === 2 ? 0 : 1;
  for (let from = 0, to = 0; from < data.length; from += channels, to += outputs) {
    const alpha = data[from + channels - 1] ?? 0;
    for (let channel = 0; channel < outputs; channel += 1) {
      const colour = data[from + channel * step] ?? 0;
      flat[to + channel] =
        alpha === 255
          ? colour
          : multiplyBytes(colour, alpha) + multiplyBytes(ground[channel] ?? 0, 255 - alpha);
    }
  }
  return { width, height, channels: outputs, data: flat };
}

/**
 * Luminance of ITU-R 601, as Pillow's mode L, of an image without alpha. Weights are in 1/65536 and sum to 1, so that equal
 * channels stay exactly what they are.
 */
export function luminance(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  if (channels !== 3) return image;
  const grey = new Uint8Array(width * height);
  for (let index = 0, from = 0; index < grey.length; index += 1, from += 3) {
    const red = data[from] ?? 0;
    const green = data[from + 1] ?? 0;
    const blue = data[from + 2] ?? 0;
    grey[index] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
  }
  return { width, height, channels: 1, data: grey };
}
