/** Whatever form a picture has, the same pixels come out; whatever is wrong with a file, its name and a remedy do. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeImage } from './decodeImage.ts';
import { dataErrorOf, temporaryFolder } from '../testing.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const colour = { channels: 3, height: 2, width: 3 };
const grey = { channels: 1, height: 2, width: 3 };
/** Two rows of three pixels: red, green, blue; black, grey, white. */
const pixels = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [0, 0, 0],
  [128, 128, 128],
  [255, 255, 255],
];
const image = () => sharp(Uint8Array.from(pixels.flat()), { raw: { width: 3, height: 2, channels: 3 } });
const expectedPlanes = [0, 1, 2].flatMap((channel) => pixels.map((pixel) => pixel[channel]));

async function file(name: string, content: Buffer | Promise<Buffer>): Promise<string> {
  const path = join(folder.path, name);
  writeFileSync(path, await content);
  return path;
}

const closeTo = (values: Uint8Array, expected: number, tolerance: number): void => {
  for (const value of values) expect(Math.abs(value - expected)).toBeLessThanOrEqual(tolerance);
};

describe('decodeImage', () => {
  it('decodes to planes of the size asked for', async () => {
    const path = await file('exact.png', image().png().toBuffer());
    expect(Array.from(await decodeImage(path, colour))).toEqual(expectedPlanes);
    expect(await decodeImage(path, { ...colour, height: 5, width: 7 })).toHaveLength(3 * 5 * 7);
  });

  it('makes one channel the luminance, and does not invert', async () => {
    const path = await file('luminance.png', image().png().toBuffer());
    expect(Array.from(await decodeImage(path, grey))).toEqual([76, 150, 29, 0, 128, 255]);
  });

  it('stretches by default and cuts with cover', async () => {
    // Left third black, the rest white, in a 30 x 10 image.
    const wide = Uint8Array.from({ length: 300 }, (_, index) => (index % 30 < 10 ? 0 : 255));
    const path = await file(
      'wide.png',
      sharp(wide, { raw: { width: 30, height: 10, channels: 1 } })
        .png()
        .toBuffer(),
    );
    const square = { channels: 1, height: 10, width: 10 };
    const filled = await decodeImage(path, square);
    const covered = await decodeImage(path, { ...square, fit: 'cover' });
    expect([filled[0], filled[9]]).toEqual([0, 255]);
    expect([covered[1], covered[8]]).toEqual([255, 255]);
  });

  it('lays transparent pixels on white', async () => {
    const half = sharp({
      create: { width: 4, height: 4, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0.5 } },
    });
    closeTo(await decodeImage(await file('half.png', half.clone().png().toBuffer()), colour), 127, 1);
    closeTo(
      await decodeImage(await file('half.webp', half.webp({ lossless: true }).toBuffer()), grey),
      127,
      1,
    );
    const clear = sharp({
      create: { width: 4, height: 4, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
    });
    closeTo(await decodeImage(await file('clear.png', clear.png().toBuffer()), grey), 255, 0);
  });

  it('turns the image upright by its EXIF orientation', async () => {
    // Stored lying: 2 wide, 3 high; orientation 6 says to turn it clockwise by 90 degrees.
    const stored = Uint8Array.from([0, 255, 0, 255, 0, 255]);
    const tagged = sharp(stored, { raw: { width: 2, height: 3, channels: 1 } }).withMetadata({
      orientation: 6,
    });
    const path = await file('turned.png', tagged.png().toBuffer());
    expect(Array.from(await decodeImage(path, grey))).toEqual([0, 0, 0, 255, 255, 255]);
  });

  it('converts CMYK, 16 bits, greys and palettes', async () => {
    const flat = sharp({
      create: { width: 8, height: 8, channels: 3, background: { r: 200, g: 30, b: 60 } },
    });
    const cmyk = await file('cmyk.jpg', flat.clone().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer());
    expect((await sharp(cmyk).metadata()).space).toBe('cmyk');
    const red = await decodeImage(cmyk, colour);
    closeTo(red.subarray(0, 6), 200, 30);
    closeTo(red.subarray(6, 12), 30, 35);

    const wide = sharp(new Uint16Array(64).fill(0x8040), { raw: { width: 8, height: 8, channels: 1 } });
    const grey16 = await file('grey16.png', wide.toColourspace('grey16').png().toBuffer());
    expect((await sharp(grey16).metadata()).depth).toBe('ushort');
    closeTo(await decodeImage(grey16, grey), 0x80, 1);
    closeTo(await decodeImage(grey16, colour), 0x80, 1);

    const grey8 = sharp(new Uint8Array(64).fill(77), { raw: { width: 8, height: 8, channels: 1 } });
    closeTo(
      await decodeImage(await file('grey8.png', grey8.toColourspace('b-w').png().toBuffer()), colour),
      77,
      0,
    );
    const palette = await file('palette.png', flat.png({ palette: true }).toBuffer());
    closeTo((await decodeImage(palette, colour)).subarray(0, 6), 200, 0);
  });

  it('reads a file again after it has changed', async () => {
    const of = (value: number) =>
      sharp(new Uint8Array(64).fill(value), { raw: { width: 8, height: 8, channels: 1 } })
        .png()
        .toBuffer();
    closeTo(await decodeImage(await file('changing.png', of(10)), grey), 10, 0);
    closeTo(await decodeImage(await file('changing.png', of(20)), grey), 20, 0);
  });

  it('tells apart missing, empty, a folder and what is no image', async () => {
    const missing = await dataErrorOf(() => decodeImage(join(folder.path, 'none.png'), grey));
    expect(missing.kind).toBe('missing');
    expect(missing.message).toBe(
      `decoding image ${join(folder.path, 'none.png')}: expected an existing file, got nothing at that path. Check the path.`,
    );
    const empty = await file('empty.png', Buffer.alloc(0));
    expect(await dataErrorOf(() => decodeImage(empty, grey))).toMatchObject({ kind: 'empty', path: empty });
    mkdirSync(join(folder.path, 'folder.png'));
    const directory = await dataErrorOf(() => decodeImage(join(folder.path, 'folder.png'), grey));
    expect(directory.message).toContain('expected a file, got a folder');
    execFileSync('mkfifo', [join(folder.path, 'pipe.png')]);
    const pipe = await dataErrorOf(() => decodeImage(join(folder.path, 'pipe.png'), grey));
    expect(pipe.message).toContain('expected a file, got something that is not a regular file');
    const text = await file('text.png', Buffer.from('this is no image'));
    const pointer = join(folder.path, 'pointer.png');
    writeFileSync(pointer, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
    const { message } = await dataErrorOf(() => decodeImage(pointer, grey));
    expect(message).toMatch(/got a pointer of Git LFS instead of the image\. Run git lfs pull/);
    const undecodable = await dataErrorOf(() => decodeImage(text, grey));
    expect(undecodable.kind).toBe('decode');
    expect(undecodable.message).toContain(text);
    expect(undecodable.message).toContain('unsupported image format');
    expect(undecodable.message).toContain('save it again as PNG or JPEG');
  });

  it('refuses half a picture instead of filling it with grey', async () => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, index) => (index * 7919) % 256);
    const whole = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    for (const [name, bytes] of [
      ['cut.jpg', await whole.clone().jpeg().toBuffer()],
      ['cut.png', await whole.clone().png().toBuffer()],
    ] as const) {
      const path = await file(name, bytes.subarray(0, bytes.length / 2));
      expect(await dataErrorOf(() => decodeImage(path, colour))).toMatchObject({ kind: 'decode', path });
    }
  });

  it('refuses more pixels than the limit before decoding them', async () => {
    const path = await file('huge.png', image().png().toBuffer());
    const error = await dataErrorOf(() => decodeImage(path, { ...grey, maximumPixels: 5 }));
    expect(error.kind).toBe('tooLarge');
    expect(error.message).toContain(
      `decoding image ${path}: expected at most 5 pixels, got more. Make the image smaller`,
    );
  });

  it.each([
    { channels: 4, height: 2, width: 2 },
    { channels: 1, height: 0, width: 2 },
    { channels: 1, height: 2, width: 1.5 },
  ])('refuses to make %o', async (shape) => {
    const error = await dataErrorOf(() => decodeImage('any.png', shape));
    expect(error.kind).toBe('argument');
    expect(error.message).toContain('1 or 3 channels');
  });
});
