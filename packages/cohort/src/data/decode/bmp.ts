/** Reads BMP, which sharp does not, and whose npm readers mix up the colours of palettes; run-length coding is left out. */
import type { PixelImage } from '@cohort-ml/runtime';

/** What the header of a BMP says. */
export interface BmpHeader {
  readonly width: number;
  readonly height: number;
  readonly isTopDown: boolean;
  readonly bits: number;
  /** Where the pixels begin. */
  readonly offset: number;
  /** Red, green and blue of each index, for up to 8 bits. */
  readonly palette: Buffer;
  /** Bits of red, green, blue and alpha in a pixel of 16 or 32 bits; 0 for none. */
  readonly masks: readonly number[];
}

const UNCOMPRESSED = 0;
const BITFIELDS = 3;
const ALPHA_BITFIELDS = 6;

/** True for the first bytes of a BMP. */
export function isBmp(content: Uint8Array): boolean {
  return content[0] === 0x42 && content[1] === 0x4d && content.length > 26;
}

/** @throws {Error} for a damaged header, the one of OS/2 1.x, or a compression */
export function readBmpHeader(content: Buffer): BmpHeader {
  const headerSize = content.readUInt32LE(14);
  if (headerSize < 40) throw new Error('it has the header of OS/2, which cannot be read');
  const height = content.readInt32LE(22);
  const bits = content.readUInt16LE(28);
  const compression = content.readUInt32LE(30);
  const hasMasks = compression === BITFIELDS || compression === ALPHA_BITFIELDS;
  if (!hasMasks && compression !== UNCOMPRESSED) {
    throw new Error('it is a compressed BMP, which cannot be read');
  }
  const width = content.readInt32LE(18);
  if (width < 1 || height === 0 || ![1, 4, 8, 16, 24, 32].includes(bits)) {
    throw new Error('its BMP header is damaged');
  }
  const maskCount = headerSize >= 56 || compression === ALPHA_BITFIELDS ? 4 : 3;
  const plainMasks = bits === 16 ? [0x7c00, 0x3e0, 0x1f, 0] : [0xff0000, 0xff00, 0xff, 0];
  const masks = hasMasks
    ? [54, 58, 62, 66].map((at, index) => (index < maskCount ? content.readUInt32LE(at) : 0))
    : plainMasks;
  const colours = content.readUInt32LE(46) || 2 ** Math.min(bits, 8);
  const paletteStart = 14 + headerSize;
  const palette = bits <= 8 ? content.subarray(paletteStart, paletteStart + 4 * colours) : Buffer.alloc(0);
  const offset = content.readUInt32LE(10);
  return { width, height: Math.abs(height), isTopDown: height < 0, bits, offset, palette, masks };
}

/** The pixels; alpha only where a mask for it is given and some of it is not 0. @throws {Error} for a file that is cut short */
export function readBmpPixels(content: Buffer, header: BmpHeader): PixelImage {
  const { width, height, isTopDown, bits, offset, masks } = header;
  const stride = Math.ceil((width * bits) / 32) * 4;
  if (content.length < offset + stride * height) throw new Error('it ends before its last pixel');
  const data = new Uint8Array(width * height * 4);
  const paint = bits <= 8 ? paletteReader(content, header) : colourReader(content, header);
  for (let y = 0, to = 0; y < height; y += 1) {
    const row = offset + (isTopDown ? y : height - 1 - y) * stride;
    for (let x = 0; x < width; x += 1, to += 4) paint(row, x, data, to);
  }
  if (bits !== 24 && masks[3] !== 0 && data.some((value, index) => index % 4 === 3 && value !== 0)) {
    return { width, height, channels: 4, data };
  }
  const colours = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < colours.length; from += 4) {
    for (let channel = 0; channel < 3; channel += 1) colours[to++] = data[from + channel] ?? 0;
  }
  return { width, height, channels: 3, data: colours };
}

/** Writes red, green, blue and alpha of pixel `x` of the row that begins at `row`. */
type PixelReader = (row: number, x: number, data: Uint8Array, to: number) => void;

function paletteReader(content: Buffer, { bits, palette }: BmpHeader): PixelReader {
  return (row, x, data, to) => {
    const byte = content[row + Math.floor((x * bits) / 8)] ?? 0;
    const index = (byte >> (8 - bits - ((x * bits) % 8))) & (2 ** bits - 1);
    for (let channel = 0; channel < 3; channel += 1)
      data[to + channel] = palette[4 * index + 2 - channel] ?? 0;
  };
}

function colourReader(content: Buffer, { bits, masks }: BmpHeader): PixelReader {
  if (bits === 24) {
    return (row, x, data, to) => {
      for (let channel = 0; channel < 3; channel += 1)
        data[to + channel] = content[row + 3 * x + 2 - channel] ?? 0;
    };
  }
  // The lowest bit of a mask, and the largest value behind it.
  const fields = masks.map((mask) => {
    const lowest = mask === 0 ? 1 : (mask & -mask) >>> 0;
    return { mask, lowest, largest: mask / lowest };
  });
  return (row, x, data, to) => {
    const pixel = bits === 16 ? content.readUInt16LE(row + 2 * x) : content.readUInt32LE(row + 4 * x);
    for (const [channel, { mask, lowest, largest }] of fields.entries()) {
      data[to + channel] = mask === 0 ? 0 : Math.round((((pixel & mask) >>> 0) / lowest / largest) * 255);
    }
  };
}
