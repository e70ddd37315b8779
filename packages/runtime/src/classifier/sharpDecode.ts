/** Decodes image files in Node by sharp. Training reads its images with the same code, so that both see the same pixels. */
import { cmykToRgb, type PixelImage } from '../preprocess/index.ts';

/** The part of `sharp` that is used. */
export type Sharp = (
  bytes: Uint8Array,
  options: { limitInputPixels: number; failOn: 'error'; ignoreIcc: boolean },
) => SharpImage;

interface SharpImage {
  metadata(): Promise<{ space?: string; depth?: string; hasAlpha?: boolean }>;
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
  const { space, depth, hasAlpha } = await image.metadata();
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
