/** Decodes image files in Node by sharp. Training reads its images with the same code, so that both see the same pixels. */
import { cmykToRgb, type PixelImage } from '../preprocess/index.ts';

/** The part of `sharp` that is used. */
export type Sharp = (
  bytes: Uint8Array,
  options: { limitInputPixels: number; failOn: 'error'; ignoreIcc: boolean },
) => SharpImage;

interface SharpImage {
  metadata(): Promise<Header>;
  autoOrient(): SharpImage;
  pipelineColourspace(name: string): SharpImage;
  toColourspace(name: string): SharpImage;
  raw(options: { depth: 'uchar' | 'ushort' }): SharpImage;
  toBuffer(options: {
    resolveWithObject: true;
  }): Promise<{ data: Uint8Array; info: { width: number; height: number; channels: number } }>;
}

/** Depths that sensors and formats use: 12 bits are often kept in 16. */
const usualBits = [8, 10, 12, 14, 16];

/**
 * The first frame as 8-bit pixels, upright, with alpha where it has some. CMYK is converted without profiles, colour profiles
 * are ignored, and 16 bits are scaled by the narrowest usual depth that holds all values.
 * @throws {Error} with sharp's reason for a file that cannot be decoded or has more than `mostPixels`
 */
export async function decodeImageFile(
  sharp: Sharp,
  bytes: Uint8Array,
  mostPixels: number,
): Promise<PixelImage> {
  const image = sharp(bytes, { limitInputPixels: mostPixels, failOn: 'error', ignoreIcc: true });
  // Sharp looks at the header in a task of its own, which for a small image takes a quarter of the time.
  const { space, depth, hasAlpha } = usualHeader(bytes) ?? (await image.metadata());
  const upright = image.autoOrient();
  if (space === 'cmyk') {
    const { data, info } = await upright
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return cmykToRgb(info.width, info.height, data);
  }
  const isGrey = (space === 'b-w' || space === 'grey16') && hasAlpha !== true;
  const isDeep = depth === 'ushort';
  const [grey, colour] = isDeep ? ['grey16', 'rgb16'] : ['b-w', 'srgb'];
  const { data, info } = await upright
    .toColourspace(isGrey ? grey : colour)
    .raw({ depth: isDeep ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const channels = channelsOf(info.channels);
  const pixels = isDeep ? deepToBytes(new Uint16Array(new Uint8Array(data).buffer), channels) : data;
  return { width: info.width, height: info.height, channels, data: pixels };
}

interface Header {
  readonly space?: string;
  readonly depth?: string;
  readonly hasAlpha?: boolean;
}

/** What sharp says of an ordinary PNG in 8-bit colour or JPEG in 8-bit colour or grey; null for anything else. */
function usualHeader(bytes: Uint8Array): Header | null {
  const colour: Header = { space: 'srgb', depth: 'uchar' };
  if (isPngInColour(bytes)) return colour;
  switch (jpegComponents(bytes)) {
    case 1:
      return { space: 'b-w', depth: 'uchar', hasAlpha: false };
    case 3:
      return colour;
    default:
      return null;
  }
}

const pngStart = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];

/** Whether it is red, green and blue of 8 bits, with alpha or without. */
function isPngInColour(bytes: Uint8Array): boolean {
  return (
    pngStart.every((value, index) => bytes[index] === value) &&
    bytes[24] === 8 &&
    (bytes[25] === 2 || bytes[25] === 6)
  );
}

/** From the frame header of a JPEG of 8 bits a sample; 0 for anything else. */
function jpegComponents(bytes: Uint8Array): number {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return 0;
  for (let at = 2; bytes[at] === 0xff;) {
    const marker = bytes[at + 1] ?? 0;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return bytes[at + 4] === 8 ? (bytes[at + 9] ?? 0) : 0;
    // Markers without a length, and padding, are unusual before the frame.
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd9) || marker === 0xff) return 0;
    at += 2 + 256 * (bytes[at + 2] ?? 0) + (bytes[at + 3] ?? 0);
  }
  return 0;
}

function channelsOf(count: number): 1 | 2 | 3 | 4 {
  if (count === 1 || count === 2 || count === 3 || count === 4) return count;
  throw new Error(`it has ${count} channels`);
}

/** Colours scaled by their range, alpha by its own: `round(255 value / white)`. */
function deepToBytes(values: Uint16Array, channels: 1 | 2 | 3 | 4): Uint8Array {
  const hasAlpha = channels % 2 === 0;
  const whites = [0, 0];
  const isAlphaAt = (index: number): 0 | 1 => (hasAlpha && index % channels === channels - 1 ? 1 : 0);
  for (let index = 0; index < values.length; index += 1) {
    const part = isAlphaAt(index);
    whites[part] = Math.max(whites[part] ?? 0, values[index] ?? 0);
  }
  const factors = whites.map(
    (largest) => 255 / (2 ** (usualBits.find((bits) => largest < 2 ** bits) ?? 16) - 1),
  );
  return Uint8Array.from(values, (value, index) =>
    Math.floor(value * (factors[isAlphaAt(index)] ?? 0) + 0.5),
  );
}
