/** The checksum of zip archives and PNG files (CRC-32, polynomial 0xEDB88320). */
import * as zlib from 'node:zlib';

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  return value;
});

/** Where Node has none of its own: before 20.15. */
export function crc32ByTable(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0);
  return (value ^ 0xffffffff) >>> 0;
}

const { crc32: own } = zlib as { crc32?: (bytes: Uint8Array) => number };

/** CRC-32 of bytes, as an unsigned number. */
export function crc32(bytes: Uint8Array): number {
  return own === undefined ? crc32ByTable(bytes) : own(bytes);
}
