/** Masks of class numbers: grey or palette PNGs, whose numbers must not become colours on the way. */
import { decode, encode } from 'fast-png';
import { errorText } from '@cohort-ml/errors';
import { readDataFile } from '../../data/loading/readFile.ts';
import { AnnotationError } from '../errors.ts';

/** A class number for every pixel. */
export interface LabelMap {
  readonly height: number;
  readonly width: number;
  /** Row by row. */
  readonly labels: Uint8Array;
}

const mostBytes = 256 * 1024 * 1024;

/** Reads the numbers of a PNG. @throws {DataError} where it cannot be read; {@link AnnotationError} for colours or more than 8 bits */
export async function readLabelMap(path: string): Promise<LabelMap> {
  const content = await readDataFile(path, {
    operation: 'reading mask',
    maximumBytes: mostBytes,
    remedyWhenMissing: 'Check the path.',
  });
  let image: ReturnType<typeof decode>;
  try {
    image = decode(content);
  } catch (error) {
    throw new AnnotationError(
      `${path} cannot be decoded as PNG: ${errorText(error)}.`,
      'Save the mask as PNG.',
      {
        cause: error,
      },
    );
  }
  const { width, height, channels, depth, data } = image;
  if (channels !== 1 || depth > 8) {
    throw new AnnotationError(
      `${path} has ${channels} channels of ${depth} bits, but a mask has one number per pixel.`,
      'Save class numbers as 8-bit grey or palette PNG.',
    );
  }
  const bytes = Uint8Array.from(data);
  return { height, width, labels: depth === 8 ? bytes : unpack(bytes, width, height, depth) };
}

/** Pixels of 1, 2 or 4 bits, which PNG packs from the left; every row begins with a new byte. */
function unpack(bytes: Uint8Array, width: number, height: number, depth: number): Uint8Array {
  if (bytes.length === width * height) return bytes;
  const perByte = 8 / depth;
  const rowBytes = Math.ceil(width / perByte);
  const labels = new Uint8Array(width * height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const byte = bytes[row * rowBytes + Math.floor(column / perByte)] ?? 0;
      const shift = 8 - depth * ((column % perByte) + 1);
      labels[row * width + column] = (byte >> shift) & (2 ** depth - 1);
    }
  }
  return labels;
}

/** A palette of distinct colours, as VOC numbers its own: bits of the class number spread over red, green and blue. */
export function vocPalette(): [number, number, number][] {
  return Array.from({ length: 256 }, (_, number) => {
    const colour: [number, number, number] = [0, 0, 0];
    let rest = number;
    for (let shift = 7; shift >= 0; shift -= 1) {
      for (const channel of [0, 1, 2] as const) colour[channel] |= ((rest >> channel) & 1) << shift;
      rest >>= 3;
    }
    return colour;
  });
}

/** A grey PNG of class numbers. */
export function encodeLabelMap({ height, width, labels }: LabelMap): Uint8Array {
  return encode({ height, width, data: labels, channels: 1, depth: 8 });
}
