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
  if (channels === 4) return { width, height, channels: 3, data: flattenColours(data, background) };
  const [red, green, blue] = background;
  // Grey stays grey on a grey background.
  const outputs = red === green && green === blue ? 1 : 3;
  const flat = new Uint8Array(width * height * outputs);
  const ground = Uint8Array.of(red, green, blue);
  for (let from = 0, to = 0; from < data.length; from += 2, to += outputs) {
    const colour = data[from] ?? 0;
    const alpha = data[from + 1] ?? 0;
    for (let channel = 0; channel < outputs; channel += 1) {
      flat[to + channel] = blend(colour, ground[channel] ?? 0, alpha);
    }
  }
  return { width, height, channels: outputs, data: flat };
}

function blend(colour: number, ground: number, alpha: number): number {
  return multiplyBytes(colour, alpha) + multiplyBytes(ground, 255 - alpha);
}

/** Canvases give four channels even where all is opaque, so that case is written out. */
function flattenColours(data: PixelImage['data'], [red, green, blue]: Background): Uint8Array {
  const flat = new Uint8Array((data.length / 4) * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3] ?? 0;
    if (alpha === 255) {
      flat[to] = data[from] ?? 0;
      flat[to + 1] = data[from + 1] ?? 0;
      flat[to + 2] = data[from + 2] ?? 0;
    } else {
      flat[to] = blend(data[from] ?? 0, red, alpha);
      flat[to + 1] = blend(data[from + 1] ?? 0, green, alpha);
      flat[to + 2] = blend(data[from + 2] ?? 0, blue, alpha);
    }
  }
  return flat;
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
