/** Every way an IDX file can be wrong gets its own message, and no header is believed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { readIdx } from './idx.ts';
import { dataErrorOf, idxBytes, temporaryFolder } from '../testing.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const pixels = Uint8Array.from({ length: 2 * 3 * 4 }, (_, index) => index * 10);
const images = idxBytes([2, 3, 4], pixels);
/** Pseudo-random bytes, which gzip cannot shrink, so that cutting the file cuts the content. */
const noise = Uint8Array.from(
  { length: 64 * 10 * 10 },
  (_, index) => (Math.imul(index, 2654435761) >>> 13) & 0xff,
);
let fileNumber = 0;

function file(bytes: Uint8Array): string {
  fileNumber += 1;
  const path = join(folder.path, `file-${fileNumber}`);
  writeFileSync(path, bytes);
  return path;
}

describe('readIdx', () => {
  it('reads images plain and gzip, whatever the name', async () => {
    for (const bytes of [images, gzipSync(images)]) {
      const array = await readIdx(file(bytes), { dimensions: 3 });
      expect(array.shape).toEqual([2, 3, 4]);
      expect(Array.from(array.values)).toEqual(Array.from(pixels));
    }
  });

  it('reads labels, and a gzip file of several members', async () => {
    const bytes = idxBytes([5], Uint8Array.from([1, 2, 3, 4, 5]));
    const members = Buffer.concat([gzipSync(bytes.subarray(0, 10)), gzipSync(bytes.subarray(10))]);
    for (const stored of [bytes, gzipSync(bytes), members]) {
      const array = await readIdx(file(stored), { dimensions: 1 });
      expect(array.shape).toEqual([5]);
      expect(Array.from(array.values)).toEqual([1, 2, 3, 4, 5]);
    }
  });

  it.each([
    ['plain, cut in the pixels', images.subarray(0, 30), 'expected 40 bytes, got 30'],
    ['plain, cut in the sizes', images.subarray(0, 9), 'expected 16 bytes, got 9'],
    ['plain, cut in the magic', images.subarray(0, 3), 'expected 16 bytes, got 3'],
    ['gzip of a cut file', gzipSync(images.subarray(0, 30)), 'expected 40 bytes, got 30'],
    ['gzip of nothing', gzipSync(Buffer.alloc(0)), 'expected 16 bytes, got 0'],
    [
      'gzip cut in its checksum',
      gzipSync(images).subarray(0, -4),
      'expected 40 bytes and the gzip checksum, got a file that ends before',
    ],
    ['gzip cut after 2 bytes', gzipSync(images).subarray(0, 2), 'expected 16 bytes, got 0'],
  ])('says that a file is truncated: %s', async (_, bytes, text) => {
    const path = file(bytes);
    const error = await dataErrorOf(() => readIdx(path, { dimensions: 3 }));
    expect(error.kind).toBe('truncated');
    expect(error.message).toContain(path);
    expect(error.message).toContain(text);
    expect(error.message).toContain('fetch it again');
    expect(error.path).toBe(path);
  });

  it('says how much of a cut gzip file could be read', async () => {
    const whole = gzipSync(idxBytes([64, 10, 10], noise));
    const error = await dataErrorOf(() =>
      readIdx(file(whole.subarray(0, whole.length / 2)), { dimensions: 3 }),
    );
    expect(error.kind).toBe('truncated');
    const [, received] = /expected 6416 bytes, got (\d+)\./.exec(error.message) ?? [];
    expect(Number(received)).toBeGreaterThan(1000);
    expect(Number(received)).toBeLessThan(6416);
  });

  it.each([
    ['plain', Buffer.concat([images, Buffer.alloc(3)]), 'got 43 bytes'],
    ['gzip', gzipSync(Buffer.concat([images, Buffer.alloc(3)])), 'got more'],
    ['a bomb of 50 MB', gzipSync(Buffer.concat([images, Buffer.alloc(50_000_000)])), 'got more'],
  ])('refuses trailing bytes: %s', async (_, bytes, text) => {
    const error = await dataErrorOf(() => readIdx(file(bytes), { dimensions: 3 }));
    expect(error.kind).toBe('trailing');
    expect(error.message).toContain('exactly 40 bytes by its header');
    expect(error.message).toContain(text);
  });

  it('names a wrong magic, type code and number of dimensions', async () => {
    const png = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0]);
    const magic = await dataErrorOf(() => readIdx(file(png), { dimensions: 3 }));
    expect(magic.kind).toBe('format');
    expect(magic.message).toContain('expected an IDX file (magic 0x00000803), got magic 0x89504e47');

    const floats = Buffer.from(images);
    floats[2] = 0x0d;
    const type = await dataErrorOf(() => readIdx(file(floats), { dimensions: 3 }));
    expect(type.kind).toBe('format');
    expect(type.message).toContain('expected type code 0x08 (unsigned byte), got type code 0x0d (float)');

    const swapped = await dataErrorOf(() => readIdx(file(images), { dimensions: 1 }));
    expect(swapped.kind).toBe('format');
    expect(swapped.message).toContain('expected 1 dimension (labels), got 3 (magic 0x00000803)');
    expect(swapped.message).toContain('swapped');
  });

  it('refuses a header that promises more than the limit, plain and gzip', async () => {
    const hostile = idxBytes([0xffffffff, 0xffffffff, 0xffffffff], Uint8Array.of(1));
    for (const bytes of [hostile, gzipSync(hostile)]) {
      const error = await dataErrorOf(() => readIdx(file(bytes), { dimensions: 3 }));
      expect(error.kind).toBe('tooLarge');
      expect(error.message).toContain('4294967295 x 4294967295 x 4294967295');
    }
    // Within the limit but not in the file: found out from the content, not from memory running out.
    const promises2Gb = idxBytes([2_000_000, 28, 28], Uint8Array.of(1));
    for (const bytes of [promises2Gb, gzipSync(promises2Gb)]) {
      const error = await dataErrorOf(() => readIdx(file(bytes), { dimensions: 3 }));
      expect(error.kind).toBe('truncated');
      expect(error.message).toContain('expected 1568000016 bytes, got 17');
    }
    const large = await dataErrorOf(() => readIdx(file(images), { dimensions: 3, maximumBytes: 39 }));
    expect(large.kind).toBe('tooLarge');
    expect(large.message).toContain('at most 39 bytes, got 40 bytes');
  });

  it('says that gzip data is corrupt', async () => {
    const whole = gzipSync(idxBytes([64, 10, 10], noise));
    const badChecksum = Buffer.from(whole);
    badChecksum[whole.length - 6] = (badChecksum[whole.length - 6] ?? 0) ^ 1;
    const badMethod = Buffer.from(whole);
    badMethod[2] = 7;
    for (const bytes of [badChecksum, badMethod, Buffer.concat([gzipSync(images), Buffer.from('<html>')])]) {
      const path = file(bytes);
      const error = await dataErrorOf(() => readIdx(path, { dimensions: 3 }));
      expect(error.kind).toBe('corrupt');
      expect(error.message).toContain(path);
      expect(error.message).toContain('The file is corrupt: fetch it again.');
    }
  });

  it('tells a missing file, an empty one and a folder apart', async () => {
    const missing = await dataErrorOf(() =>
      readIdx(join(folder.path, 'nowhere'), { dimensions: 1, remedyWhenMissing: 'Get it.' }),
    );
    expect(missing.kind).toBe('missing');
    expect(missing.message).toBe(
      `reading IDX file ${join(folder.path, 'nowhere')}: expected an existing file, got nothing at that path. Get it.`,
    );
    const empty = await dataErrorOf(() => readIdx(file(new Uint8Array()), { dimensions: 1 }));
    expect(empty.kind).toBe('empty');
    expect(empty.message).toContain('0 bytes');
    const subfolder = join(folder.path, 'subfolder');
    mkdirSync(subfolder);
    const notFile = await dataErrorOf(() => readIdx(subfolder, { dimensions: 1 }));
    expect(notFile.kind).toBe('unreadable');
    expect(notFile.message).toContain('got a folder');
  });

  it('answers any damaged file with a DataError or a sound array', async () => {
    const plain = idxBytes([64, 10, 10], noise);
    const stored = { plain, gzip: gzipSync(plain) };
    const damage = fc.record({
      kind: fc.constantFrom('plain' as const, 'gzip' as const),
      keep: fc.double({ min: 0.01, max: 1, noNaN: true }),
      flips: fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ kind, keep, flips }) => {
        const bytes = Buffer.from(stored[kind].subarray(0, Math.ceil(stored[kind].length * keep)));
        for (const [position, value] of flips) if (position < bytes.length) bytes[position] = value;
        try {
          const array = await readIdx(file(bytes), { dimensions: 3 });
          expect(array.values.length).toBe(array.shape.reduce((product, size) => product * size, 1));
        } catch (error) {
          expect(error).toBeInstanceOf(DataError);
        }
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});
