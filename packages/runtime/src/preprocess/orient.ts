/** Turns an image upright by its EXIF orientation: pixels are moved and never changed. */
import { PreprocessError } from './errors.ts';
import { checkImage, type PixelImage } from './image.ts';

/**
 * The image upright.
 * @param orientation EXIF tag 274, 1 to 8: 1 is upright, 3 upside down, 6 needs a quarter turn clockwise, 8 one
 *   anticlockwise; 2, 4, 5 and 7 are mirrored
 * @throws {PreprocessError} for another number, or sizes that disagree with the data
 */
export function orientImage(image: PixelImage, orientation: number): PixelImage {
  checkImage(image);
  if (!Number.isInteger(orientation) || orientation < 1 || orientation > 8) {
    throw new PreprocessError(
      `an EXIF orientation is a number from 1 to 8, not ${orientation}`,
      'Pass 1 for an image that has none.',
    );
  }
  if (orientation === 1) return image;
  const { width, height, channels, data } = image;
  const isTransposed = orientation >= 5;
  const flipsColumns = [2, 3, 7, 8].includes(orientation);
  const flipsRows = [3, 4, 6, 7].includes(orientation);
  const turned = new Uint8Array(data.length);
  const [outputWidth, outputHeight] = isTransposed ? [height, width] : [width, height];
  let to = 0;
  for (let y = 0; y < outputHeight; y += 1) {
    for (let x = 0; x < outputWidth; x += 1) {
      const column = isTransposed ? y : x;
      const row = isTransposed ? x : y;
      const fromColumn = flipsColumns ? width - 1 - column : column;
      const fromRow = flipsRows ? height - 1 - row : row;
      let from = (fromRow * width + fromColumn) * channels;
      for (let channel = 0; channel < channels; channel += 1) turned[to++] = data[from++] ?? 0;
    }
  }
  return { width: outputWidth, height: outputHeight, channels, data: turned };
}
