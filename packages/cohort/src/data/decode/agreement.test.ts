/** An exported network in Node must see the pixels that it was trained on, whatever kind of file they come from. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeBySharp,
  decodeImage as decodeInRuntime,
  ImageDecodeError,
  preprocess,
} from '@cohort-ml/runtime';
import sharp, { type Sharp } from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeImage } from '../loading/decodeImage.ts';
import { temporaryFolder } from '../testing.ts';
import { bmpFile, tiffFile } from './testing.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const size = { width: 23, height: 17 };

function picture(channels: 1 | 2 | 3 | 4, white = 255): Sharp {
  const length = size.width * size.height * channels;
  const values = Array.from({ length }, (_, index) => (Math.imul(index + 1, 2654435761) >>> 8) % (white + 1));
  const data = white > 255 ? Uint16Array.from(values) : Uint8Array.from(values);
  return sharp(data, { raw: { ...size, channels } });
}

const kinds: readonly [string, () => Promise<Buffer>][] = [
  ['JPEG', () => picture(3).jpeg().toBuffer()],
  ['grey JPEG', () => picture(1).toColourspace('b-w').jpeg().toBuffer()],
  ['CMYK JPEG', () => picture(4).toColourspace('cmyk').jpeg().toBuffer()],
  ['turned JPEG', () => picture(3).withMetadata({ orientation: 6 }).jpeg().toBuffer()],
  ['JPEG with a colour profile', () => picture(3).withIccProfile('p3').jpeg().toBuffer()],
  ['PNG with alpha', () => picture(4).png().toBuffer()],
  ['grey PNG with alpha', () => picture(2).png().toBuffer()],
  ['PNG with a palette', () => picture(3).png({ palette: true }).toBuffer()],
  ['16-bit PNG', () => picture(3, 65535).toColourspace('rgb16').png().toBuffer()],
  ['12-bit PNG in 16', () => picture(1, 4095).toColourspace('grey16').png().toBuffer()],
  ['16-bit PNG with alpha', () => picture(4, 65535).toColourspace('rgb16').png().toBuffer()],
  ['WebP', () => picture(4).webp({ lossless: true }).toBuffer()],
  ['GIF', () => picture(3).gif().toBuffer()],
  ['AVIF', () => picture(3).avif().toBuffer()],
  [
    'SVG',
    () =>
      Promise.resolve(
        Buffer.from(
          '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><circle cx="12" cy="9" r="7" fill="#c30"/></svg>',
        ),
      ),
  ],
];

/** Those whose header is read without sharp. */
const usual: readonly [string, () => Promise<Buffer>][] = [
  ['PNG', () => picture(3).png().toBuffer()],
  ['interlaced PNG with alpha', () => picture(4).png({ progressive: true }).toBuffer()],
  ['progressive JPEG', () => picture(3).jpeg({ progressive: true }).toBuffer()],
  ['JPEG with EXIF and a profile', () => picture(3).withMetadata({ orientation: 3 }).jpeg().toBuffer()],
  ['grey JPEG', () => picture(1).toColourspace('b-w').jpeg().toBuffer()],
];

describe('decoding', () => {
  it.each(usual)("agrees with sharp's pixels, and is grey where sharp's are: %s", async (_, make) => {
    const file = await make();
    const { space } = await sharp(file).metadata();
    const { data, info } = await sharp(file, { ignoreIcc: true })
      .autoOrient()
      .toColourspace(space === 'b-w' ? 'b-w' : 'srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    expect(await decodeBySharp(sharp, file, 1000)).toEqual({ width, height, channels, data });
  });
});

describe('an exported network in Node', () => {
  it.each(kinds)('sees the pixels that training saw: %s', async (name, make) => {
    const path = join(folder.path, name.replaceAll(' ', '-'));
    writeFileSync(path, await make());
    for (const channels of [1, 3]) {
      const shape = { channels, height: 9, width: 8 };
      expect(preprocess(await decodeInRuntime(path), shape)).toEqual(await decodeImage(path, shape));
    }
  });

  it.each([
    ['TIFF', tiffFile({ ...size, bands: 1, bits: 8, data: new Uint8Array(size.width * size.height) })],
    ['BMP', bmpFile(1, 1, 3, [1, 2, 3])],
    ['Netpbm', Buffer.from('P2 1 1 255 7\n')],
  ])('refuses %s, which browsers do not read alike', async (name, content) => {
    const refused = decodeInRuntime(new Uint8Array(content));
    await expect(refused).rejects.toThrow(ImageDecodeError);
    await expect(refused).rejects.toThrow(
      `The image is a ${name} file, which is not read here. Save it as PNG or JPEG.`,
    );
  });
});
