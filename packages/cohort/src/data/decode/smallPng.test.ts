/** Small PNG files must have sharp's pixels, and everything unusual must be left to sharp. */
import { deflateSync } from 'node:zlib';
import { decodeBySharp } from '@cohort-ml/runtime';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../weights/crc32.ts';
import { readSmallPng } from './smallPng.ts';

const plenty = 1e6;

function picture(channels: 1 | 2 | 3 | 4, width = 23, height = 17): Sharp {
  const data = Uint8Array.from({ length: width * height * channels }, (_, index) =>
    index % 7 < 3 ? index : Math.imul(index + 1, 2654435761) >>> 24,
  );
  const image = sharp(data, { raw: { width, height, channels } });
  return channels <= 2 ? image.toColourspace('b-w') : image;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, check]);
}

/** An RGB file of 4x4 pixels with these bytes of compressed rows, and chunks before them. */
function pngOf(rows: Uint8Array, ...before: Buffer[]): Buffer {
  const header = Buffer.from([0, 0, 0, 4, 0, 0, 0, 4, 8, 2, 0, 0, 0]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [chunk('IHDR', header), ...before, chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]);
}

const fourRows = Buffer.alloc(4 * 13, 5).map((value, index) => (index % 13 === 0 ? (index / 13) % 5 : value));

/** Four rows with as many kinds of filters, beginning with this one. */
function filtered(first: number): Buffer {
  return Buffer.from(
    Array.from({ length: 4 * 13 }, (_, index) =>
      index % 13 === 0 ? (index / 13 + first) % 5 : Math.imul(index + 1, 2654435761) >>> 24,
    ),
  );
}

function inChunks(...between: Buffer[]): Buffer {
  const rows = deflateSync(filtered(2));
  return pngOf(rows.subarray(20), chunk('IDAT', rows.subarray(0, 20)), ...between);
}

describe('a small PNG', () => {
  it.each([
    ['RGB', () => picture(3).png().toBuffer()],
    ['grey', () => picture(1).png().toBuffer()],
    ['RGB with adaptive filters', () => picture(3).png({ adaptiveFiltering: true }).toBuffer()],
    ['RGB, not compressed', () => picture(3).png({ compressionLevel: 0 }).toBuffer()],
    ['RGB of one pixel', () => picture(3, 1, 1).png().toBuffer()],
    ['RGB of the largest size', () => picture(3, 64, 64).png().toBuffer()],
    ['every filter in a row of its own', () => Promise.resolve(pngOf(deflateSync(filtered(1))))],
    ['every filter in the first row too', () => Promise.resolve(pngOf(deflateSync(filtered(4))))],
    ['the rows in several chunks', () => Promise.resolve(inChunks())],
    [
      'with a gamma',
      () => Promise.resolve(pngOf(deflateSync(fourRows), chunk('gAMA', Buffer.from([0, 1, 0, 0])))),
    ],
  ])("has sharp's pixels: %s", async (_, make) => {
    const content = await make();
    const expected = await decodeBySharp(sharp, content, plenty);
    const image = readSmallPng(content, plenty);
    expect(image).toEqual({ ...expected, data: new Uint8Array(expected.data) });
  });

  it.each([
    ['alpha', () => picture(4).png().toBuffer()],
    ['grey with alpha', () => picture(2).png().toBuffer()],
    ['a palette', () => picture(3).png({ palette: true }).toBuffer()],
    ['interlacing', () => picture(3).png({ progressive: true }).toBuffer()],
    ['an orientation', () => picture(3).withMetadata({ orientation: 6 }).png().toBuffer()],
    ['a colour profile', () => picture(3).withIccProfile('p3').png().toBuffer()],
    ['16 bits', () => picture(3).toColourspace('rgb16').png().toBuffer()],
    ['more pixels', () => picture(3, 65, 64).png().toBuffer()],
    ['another format', () => picture(3).webp().toBuffer()],
    [
      'a colour that is transparent',
      () => Promise.resolve(pngOf(deflateSync(fourRows), chunk('tRNS', Buffer.alloc(6)))),
    ],
  ])('is left to sharp with %s', async (_, make) => {
    expect(readSmallPng(await make(), plenty)).toBeNull();
  });

  it('is left to sharp where it is damaged', () => {
    const whole = pngOf(deflateSync(fourRows));
    expect(readSmallPng(whole, plenty)).not.toBeNull();
    const flipped = Buffer.from(whole);
    flipped[45] = (flipped[45] ?? 0) ^ 1;
    const unknownFilter = Buffer.from(fourRows);
    unknownFilter[13] = 9;
    for (const damaged of [
      whole.subarray(0, -1),
      Buffer.concat([whole, Buffer.from('more')]),
      flipped,
      pngOf(deflateSync(fourRows.subarray(0, 30))),
      pngOf(deflateSync(fourRows).subarray(0, -5)),
      pngOf(deflateSync(unknownFilter)),
      pngOf(Buffer.alloc(0)),
      inChunks(chunk('gAMA', Buffer.from([0, 1, 0, 0]))),
      pngOf(deflateSync(Buffer.concat([fourRows, fourRows]))),
    ]) {
      expect(readSmallPng(damaged, plenty)).toBeNull();
    }
  });

  it('is not unpacked further than its pixels reach', () => {
    const bomb = pngOf(deflateSync(Buffer.alloc(64 << 20)));
    const before = process.memoryUsage().arrayBuffers;
    expect(readSmallPng(bomb, plenty)).toBeNull();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
  });

  it('is left to sharp with more pixels than are allowed', () => {
    expect(readSmallPng(pngOf(deflateSync(fourRows)), 15)).toBeNull();
  });
});
