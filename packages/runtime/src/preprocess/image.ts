/** Decoded images as preprocessing takes them: interleaved 8-bit samples, as a canvas and every decoder give them. */
import { PreprocessError } from './errors.ts';

/** Interleaved 8-bit pixels `[H, W, C]`. */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  /** 1: grey; 2: grey and alpha; 3: red, green, blue; 4: red, green, blue and alpha. Alpha is straight, not premultiplied. */
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** The side and the pixel count above which no image is taken. */
const MAXIMUM_SIDE = 2 ** 20;
const MAXIMUM_SAMPLES = 2 ** 32 - 1;

/** Checks that sizes are whole, positive and agree with the data. @throws {PreprocessError} */
export function checkImage({ width, height, channels, data }: PixelImage): void {
  checkSide('width', width);
  checkSide('height', height);
  const expected = width * height * channels;
  if (data.length === expected && expected <= MAXIMUM_SAMPLES) return;
  throw new PreprocessError(
    `an image of ${width} x ${height} with ${channels} channels has ${expected} samples, but ${data.length} were given`,
    'Pass one byte per sample, row by row.',
  );
}

/** @throws {PreprocessError} unless `value` is a whole number of pixels. */
export function checkSide(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= MAXIMUM_SIDE) return;
  throw new PreprocessError(
    `the ${name} must be a whole number from 1 to ${MAXIMUM_SIDE}, not ${value}`,
    'Check the sizes.',
  );
}
