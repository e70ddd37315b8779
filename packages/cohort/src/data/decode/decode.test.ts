/** Pictures of every depth and number of bands look like their 8-bit twins, or are refused with the reason. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeImage } from '../loading/decodeImage.ts';
import { dataErrorOf, temporaryFolder } from '../testing.ts';
import { bmpFile, tiffFile, type TiffOptions } from './testing.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

/** Three rows of four grey levels, from black to white. */
const levels = [0, 20, 60, 255, 10, 128, 200, 90, 33, 77, 254, 1];
const size = { width: 4, height: 3 };
const grey = { ...size, channels: 1 };
const colour = { ...size, channels: 3 };
const colours = levels.flatMap((level) => [level, 255 - level, level >> 1]);
const planesOf = (pixels: readonly number[]): number[] =>
  [0, 1, 2].flatMap((channel) => levels.map((_, pixel) => pixels[3 * pixel + channel] ?? NaN));

let files = 0;
async function decode(content: Buffer, shape = grey): Promise<number[]> {
  files += 1;
  const path = join(folder.path, `${files}.bin`);
  writeFileSync(path, content);
  return Array.from(await decodeImage(path, shape));
}

function tiff(options: Partial<TiffOptions> & Pick<TiffOptions, 'data' | 'bits'>): Buffer {
  return tiffFile({ ...size, bands: 1, ...options });
}

const scaled = (factor: number): number[] => levels.map((level) => Math.round(level * factor));

describe('sample ranges', () => {
  const u16 = (values: readonly number[]): Uint16Array => Uint16Array.from(values);
  it.each<[string, Partial<TiffOptions> & Pick<TiffOptions, 'data' | 'bits'>]>([
    ['floats from 0 to 1', { bits: 32, format: 3, data: Float32Array.from(levels, (level) => level / 255) }],
    ['floats from 0 to 255', { bits: 32, format: 3, data: Float32Array.from(levels) }],
    [
      'floats from -1 to 1',
      { bits: 32, format: 3, data: Float32Array.from(levels, (level) => (2 * level) / 255 - 1) },
    ],
    ['doubles from 0 to 1', { bits: 64, format: 3, data: Float64Array.from(levels, (level) => level / 255) }],
    ['16 bits', { bits: 16, data: u16(scaled(257)) }],
    ['14 bits in 16', { bits: 16, data: u16(scaled(16383 / 255)) }],
    ['12 bits in 16', { bits: 16, data: u16(scaled(4095 / 255)) }],
    ['10 bits in 16', { bits: 16, data: u16(scaled(1023 / 255)) }],
    ['8 bits in 16', { bits: 16, data: u16(levels) }],
    ['12 bits in signed 16', { bits: 16, format: 2, data: Int16Array.from(scaled(4095 / 255)) }],
    ['16 bits in 32', { bits: 32, data: Uint32Array.from(scaled(257)) }],
    ['32 bits', { bits: 32, data: Uint32Array.from(levels, (level) => level * 16843009) }],
    [
      '16 bits with white as 0',
      { bits: 16, photometric: 0, data: u16(levels.map((level) => 65535 - level * 257)) },
    ],
  ])('scales %s in TIFF to the 8-bit twin', async (_, options) => {
    expect(await decode(tiff(options))).toEqual(levels);
  });

  it('scales colours alike, so that hues stay', async () => {
    const deep = { bands: 3, photometric: 2 };
    const floats = tiff({ ...deep, bits: 32, format: 3, data: Float32Array.from(colours, (v) => v / 255) });
    expect(await decode(floats, colour)).toEqual(planesOf(colours));
    const twelve = Uint16Array.from(colours, (value) => Math.round((value * 4095) / 255));
    expect(await decode(tiff({ ...deep, bits: 16, data: twelve }), colour)).toEqual(planesOf(colours));
  });

  it('scales 12 and 16 bits in PNG', async () => {
    for (const factor of [257, 4095 / 255]) {
      const raw = sharp(Uint16Array.from(scaled(factor)), { raw: { ...size, channels: 1 } });
      expect(await decode(await raw.toColourspace('grey16').png().toBuffer())).toEqual(levels);
    }
    const deep = sharp(
      Uint16Array.from(colours, (value) => value * 257),
      { raw: { ...size, channels: 3 } },
    );
    expect(await decode(await deep.toColourspace('rgb16').png().toBuffer(), colour)).toEqual(
      planesOf(colours),
    );
  });

  it.each<[string, Float32Array | Int16Array | Uint32Array, string]>([
    [
      'not a number',
      Float32Array.from(levels, (v) => (v === 60 ? NaN : v / 255)),
      'values that are not finite',
    ],
    [
      'temperatures',
      Float32Array.from(levels, (v) => v / 4 - 20),
      'floating-point values run from -20 to 43.75',
    ],
    [
      'high dynamic range',
      Float32Array.from(levels, (v) => v / 40),
      'floating-point values run from 0 to 6.375',
    ],
    [
      'Hounsfield units',
      Int16Array.from(levels, (v) => v * 12 - 1024),
      'signed values run from -1024 to 2036',
    ],
    ['counts', Uint32Array.from(levels, (v) => v * 400), '32-bit values reach 102000'],
  ])('leaves out %s, with their range as the reason', async (_, data, reason) => {
    const bits = 8 * data.BYTES_PER_ELEMENT;
    const format = data instanceof Float32Array ? 3 : data instanceof Int16Array ? 2 : 1;
    const error = await dataErrorOf(() => decode(tiff({ bits, format, data })));
    expect(error.kind).toBe('decode');
    expect(error.message).toContain(reason);
    expect(error.message).toContain('Save it as 8-bit or 16-bit PNG, scaled from black to white');
  });
});

describe('bands', () => {
  const opaque = (pixels: readonly number[], bands: number, last: number): number[] =>
    levels.flatMap((_, pixel) => [...pixels.slice(pixel * bands, (pixel + 1) * bands), last]);

  it('takes red, green and blue where another band is no alpha', async () => {
    // Near infrared of 0, which taken for alpha would make a white picture.
    const data = Uint8Array.from(opaque(colours, 3, 0));
    const file = (extra: number): Buffer =>
      tiff({ bands: 4, bits: 8, photometric: 2, extraSamples: [extra], data });
    expect(await decode(file(0), colour)).toEqual(planesOf(colours));
    expect(new Set(await decode(file(2), colour))).toEqual(new Set([255]));
  });

  it('lays grey with alpha on white, straight or premultiplied, in 8 and 16 bits', async () => {
    const expected = levels.map((level) => Math.round((level * 128) / 255) + 127);
    const straight = levels.flatMap((level) => [level, 128]);
    const options = { bands: 2, extraSamples: [2] };
    expect(await decode(tiff({ ...options, bits: 8, data: Uint8Array.from(straight) }))).toEqual(expected);
    const deep = Uint16Array.from(straight, (value) => value * 257);
    // The alpha of 128 / 255 everywhere is 16 bits deep by its own value.
    expect(await decode(tiff({ ...options, bits: 16, data: deep }))).toEqual(expected);
    const multiplied = Uint8Array.from(levels.flatMap((level) => [Math.round((level * 128) / 255), 128]));
    const shown = await decode(tiff({ bands: 2, extraSamples: [1], bits: 8, data: multiplied }));
    for (const [index, level] of shown.entries())
      expect(Math.abs(level - (expected[index] ?? NaN))).toBeLessThan(2);
  });

  it('shows three bands that the file calls grey as red, green and blue', async () => {
    const file = tiff({
      bands: 3,
      bits: 16,
      extraSamples: [0, 0],
      data: Uint16Array.from(colours, (v) => v * 257),
    });
    expect(await decode(file, colour)).toEqual(planesOf(colours));
  });

  it.each([
    [2, 8],
    [5, 8],
    [5, 16],
    [4, 16],
  ])('leaves out %i unexplained bands of %i bits', async (bands, bits) => {
    const values = Array.from({ length: levels.length * bands }, (_, index) => (index * 37) % 256);
    const data = bits === 8 ? Uint8Array.from(values) : Uint16Array.from(values);
    const error = await dataErrorOf(() => decode(tiff({ bands, bits, data }), colour));
    expect(error.message).toContain(`it has ${bands} bands, and the file does not say which`);
  });

  it('turns a deep TIFF upright', async () => {
    const data = Uint16Array.from(levels, (level) => level * 257);
    const turned = await decode(tiff({ bits: 16, orientation: 3, data }));
    expect(turned).toEqual(levels.toReversed());
  });

  it('makes colours of CMYK as Pillow does', async () => {
    const ink = [0, 255, 255, 51];
    const data = Uint8Array.from(levels.flatMap(() => ink));
    const file = tiff({ bands: 4, bits: 8, photometric: 5, data });
    expect(await decode(file, colour)).toEqual(planesOf(levels.flatMap(() => [204, 0, 0])));
  });
});

describe('BMP and Netpbm', () => {
  it('reads BMP of 24 bits, and of 32 bits without taking the fourth byte for alpha', async () => {
    expect(await decode(bmpFile(4, 3, 3, colours), colour)).toEqual(planesOf(colours));
    const padded = levels.flatMap((_, pixel) => [...colours.slice(3 * pixel, 3 * pixel + 3), 0]);
    expect(await decode(bmpFile(4, 3, 4, padded), colour)).toEqual(planesOf(colours));
    // Eight bits with a palette of blue, green, red and nothing.
    const indexed = bmpFile(
      4,
      3,
      4,
      levels.flatMap(() => [0, 0, 0, 0]),
    );
    const palette = Buffer.from(
      levels.flatMap((_, pixel) => [...colours.slice(3 * pixel, 3 * pixel + 3).reverse(), 0]),
    );
    const rows = Buffer.from([8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3]);
    indexed.writeUInt16LE(8, 28);
    indexed.writeUInt32LE(12, 46);
    indexed.writeUInt32LE(54 + palette.length, 10);
    const file = Buffer.concat([indexed.subarray(0, 54), palette, rows]);
    expect(await decode(file, colour)).toEqual(planesOf(colours));
    const cut = await dataErrorOf(() => decode(bmpFile(4, 3, 3, colours).subarray(0, 70), colour));
    expect(cut.kind).toBe('decode');
  });

  it('reads PGM and PPM, plain and raw, of 8 and 16 bits', async () => {
    const raw = (magic: string, maximum: number, values: readonly number[], bytes: number): Buffer => {
      const samples = Buffer.alloc(values.length * bytes);
      for (const [index, value] of values.entries()) samples.writeUIntBE(value, index * bytes, bytes);
      return Buffer.concat([Buffer.from(`${magic}\n# a comment\n4 3\n${maximum}\n`), samples]);
    };
    expect(await decode(raw('P5', 255, levels, 1))).toEqual(levels);
    expect(await decode(raw('P5', 4095, scaled(4095 / 255), 2))).toEqual(levels);
    expect(await decode(raw('P6', 255, colours, 1), colour)).toEqual(planesOf(colours));
    expect(await decode(Buffer.from(`P2 4 3 255\n${levels.join('\n')}`))).toEqual(levels);
    expect(await decode(Buffer.from(`P3 4 3 255 ${colours.join(' ')}`), colour)).toEqual(planesOf(colours));
    const pam = `P7\nWIDTH 4\nHEIGHT 3\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n`;
    expect(await decode(Buffer.concat([Buffer.from(pam), Buffer.from(colours)]), colour)).toEqual(
      planesOf(colours),
    );
    const cut = await dataErrorOf(() => decode(raw('P5', 255, levels.slice(1), 1)));
    expect(cut.message).toContain('it ends before its last pixel');
  });

  it('reads bitmaps, in which 1 is black', async () => {
    const expected = levels.map((_, index) => (index % 3 === 0 ? 0 : 255));
    const plain = levels.map((_, index) => (index % 3 === 0 ? '1' : '0')).join('');
    expect(await decode(Buffer.from(`P1\n4 3\n${plain}\n`))).toEqual(expected);
    const rows = Buffer.from([0b1001_0000, 0b0010_0000, 0b0100_0000]);
    expect(await decode(Buffer.concat([Buffer.from('P4\n4 3\n'), rows]))).toEqual(expected);
  });
});
