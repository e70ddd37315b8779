/** Brings a picture to the input of a segmenter or detector as training does: scaled to fit, at the top left. */
import { preprocess, type PixelImage } from '../preprocess/index.ts';
import type { TaskManifest } from './taskManifest.ts';

/** Height and width in pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** The size that a picture has inside of the input, its proportions kept. */
export function fittedSize(picture: Size, input: Size): Size {
  const factor = Math.min(input.height / picture.height, input.width / picture.width);
  return {
    height: Math.max(1, Math.min(input.height, Math.round(picture.height * factor))),
    width: Math.max(1, Math.min(input.width, Math.round(picture.width * factor))),
  };
}

/** Planes of red, green and blue, 0 to 255, `[3, height, width]`; what the picture does not cover has the input's colour. */
export function fitPicture(picture: PixelImage, fitted: Size, input: TaskManifest['input']): Float32Array {
  const { height, width, fill } = input;
  const pixels = preprocess(picture, { channels: 3, ...fitted, fit: 'fill' });
  const result = new Float32Array(3 * height * width);
  for (let channel = 0; channel < 3; channel++) {
    const plane = result.subarray(channel * height * width, (channel + 1) * height * width);
    plane.fill(fill[channel] ?? 0);
    for (let row = 0; row < fitted.height; row++) {
      const from = (channel * fitted.height + row) * fitted.width;
      plane.set(pixels.subarray(from, from + fitted.width), row * width);
    }
  }
  return result;
}
