/** The checksum against published values, by Node and by the table. */
import { describe, expect, it } from 'vitest';
import { crc32, crc32ByTable } from './crc32.ts';

describe('CRC-32', () => {
  it.each([
    ['', 0],
    ['123456789', 0xcbf43926],
    ['The quick brown fox jumps over the lazy dog', 0x414fa339],
  ])('of "%s" is what it should be', (text, expected) => {
    for (const checksum of [crc32, crc32ByTable]) expect(checksum(Buffer.from(text))).toBe(expected);
  });
});
