/** Finds the range that a picture of more than 8 bits is scaled by, as decoding it does. */
import { integerWhite, type SampleRange } from './samples.ts';
import type { Sharp } from './picture.ts';
import { isTiff, openTiff, tiffRange } from './tiff.ts';

/** @throws {Error} for what cannot be decoded */
export async function deepRange(sharp: Sharp, content: Buffer): Promise<SampleRange> {
  if (isTiff(content)) return tiffRange(await openTiff(content));
  const image = sharp(content, { limitInputPixels: false, ignoreIcc: true });
  const { space, hasAlpha } = await image.metadata();
  const isGrey = (space === 'b-w' || space === 'grey16') && !hasAlpha;
  const { data, info } = await image
    .toColourspace(isGrey ? 'grey16' : 'rgb16')
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true });
  const values = new Uint16Array(new Uint8Array(data).buffer);
  const { channels } = info;
  let largest = 0;
  for (const [index, value] of values.entries()) {
    const isAlpha = channels % 2 === 0 && index % channels === channels - 1;
    if (!isAlpha && value > largest) largest = value;
  }
  return { black: 0, white: integerWhite(largest, 16) };
}
