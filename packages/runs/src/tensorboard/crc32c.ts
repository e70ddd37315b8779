/** CRC-32C (Castagnoli; RFC 3720, appendix B.4), in the masked form that TFRecord files carry. */

/** The Castagnoli polynomial, its bits reversed. */
const POLYNOMIAL = 0x82_f6_3b_78;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? POLYNOMIAL : 0);
  return remainder >>> 0;
});

/** The checksum, 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  let remainder = 0xff_ff_ff_ff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ (TABLE[(remainder ^ byte) & 0xff] ?? 0);
  return (remainder ^ 0xff_ff_ff_ff) >>> 0;
}

/** The mask of TFRecord: a checksum of data that holds checksums would otherwise be weak. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const checksum = crc32c(bytes);
  const rotated = (checksum >>> 15) | (checksum << 17);
  return (rotated + 0xa2_82_ea_d8) >>> 0;
}
