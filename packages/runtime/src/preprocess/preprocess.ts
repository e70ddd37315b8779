/** From decoded pixels to a network's input: what training, `predict` and the browser all do, in one place. */
import { PreprocessError } from './errors.ts';
import { flatten, luminance, WHITE, type Background } from './flatten.ts';
import { checkImage, type PixelImage } from './image.ts';
import { resize, type ResizeOptions } from './resize.ts';

/** A network's input and how images are brought to it. */
export interface PreprocessOptions extends ResizeOptions {
  /** 1: luminance; 3: red, green, blue. */
  readonly channels: number;
  /** What transparent images are laid on; white unless given. */
  readonly background?: Background;
}

/**
 * Pixels 0 to 255 as planes `[C, H, W]`: laid on the background, made grey where one channel is wanted, resized. The result
 * is the same to the bit on every platform. Turn the image upright first (`orientImage`) where the decoder has not.
 * @throws {PreprocessError} for sizes that are no whole numbers or disagree with the data, or other than 1 or 3 channels
 */
export function preprocess(image: PixelImage, options: PreprocessOptions): Uint8Array {
  checkImage(image);
  const { channels, background = WHITE } = options;
  if (channels !== 1 && channels !== 3) {
    throw new PreprocessError(
      `a network takes 1 or 3 channels, not ${channels}`,
      "Pass the shape of the network's input.",
    );
  }
  const flat = flatten(image, background);
  const resized = resize(channels === 1 ? luminance(flat) : flat, options);
  return planes(resized, channels);
}

/** `[H, W, C] -> [C, H, W]`; one channel is repeated where three are wanted. */
function planes({ width, height, channels: given, data }: PixelImage, channels: 1 | 3): Uint8Array {
  const size = width * height;
  const result = new Uint8Array(channels * size);
  if (given === 3 && channels === 3) {
    for (let index = 0, from = 0; index < size; index += 1, from += 3) {
      result[index] = data[from] ?? 0;
      result[size + index] = data[from + 1] ?? 0;
      result[2 * size + index] = data[from + 2] ?? 0;
    }
    return result;
  }
  for (let channel = 0; channel < channels; channel += 1) {
    const plane = result.subarray(channel * size, (channel + 1) * size);
    const first = given === 1 ? 0 : channel;
    for (let index = 0, from = first; index < size; index += 1, from += given) plane[index] = data[from] ?? 0;
  }
  return result;
}
