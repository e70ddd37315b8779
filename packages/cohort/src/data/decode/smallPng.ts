/**
 * Reads small PNG files of the plainest form: for 32x32 pixels, setting up a pipeline in sharp takes twenty times as long as
 * decoding. The pixels are those of sharp, which still reads everything else.
 */
import { inflateSync } from 'node:zlib';
import type { PixelImage } from '@cohort-ml/runtime';
import { crc32 } from '../../weights/crc32.ts';

/** In pixels. Beyond this, native code on a thread of its own is the better choice. */
const mostPixels = 64 * 64;
const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Colour types of PNG without palette and alpha, with the channels of their pixels. */
const channelsOf: Readonly<Record<number, 1 | 3>> = { 0: 1, 2: 3 };
/** Chunks without influence on the pixels. */
const plainChunks: ReadonlySet<string> = new Set(['pHYs', 'tIME', 'sRGB', 'gAMA', 'cHRM']);
const headerLength = 13;
/** Of a chunk: its length and its name before the content, and its checksum after it. */
const beforeContent = 8;
const afterContent = 4;

/**
 * The pixels of a PNG with 8 bits per channel, grey or RGB, without transparency, interlacing or metadata that could turn it.
 * @returns null for any other file, and for a damaged one, about which sharp has a reason to give
 */
export function readSmallPng(content: Buffer, maximumPixels: number): PixelImage | null {
  const form = formOf(content);
  if (form === null || form.width * form.height > Math.min(mostPixels, maximumPixels)) return null;
  const packed = packedRows(content);
  if (packed === null) return null;
  const rowLength = form.width * form.channels;
  const length = form.height * (1 + rowLength);
  try {
    const room = Math.max(64, length + 1);
    const rows = inflateSync(packed, { chunkSize: room, maxOutputLength: room });
    const data = rows.length === length ? unfiltered(rows, form.height, rowLength, form.channels) : null;
    return data === null ? null : { ...form, data };
  } catch {
    return null;
  }
}

/** What the header says, where it is of the plain form. */
function formOf(content: Buffer): Omit<PixelImage, 'data'> | null {
  const start = signature.length + beforeContent;
  if (content.length < start + headerLength + afterContent) return null;
  if (!content.subarray(0, signature.length).equals(signature)) return null;
  if (content.readUInt32BE(signature.length) !== headerLength || typeAt(content, start) !== 'IHDR')
    return null;
  const [bits, colour, compression, filter, interlacing] = content.subarray(start + 8, start + headerLength);
  const channels = channelsOf[colour ?? -1];
  if (bits !== 8 || channels === undefined || compression !== 0 || filter !== 0 || interlacing !== 0) {
    return null;
  }
  return { width: content.readUInt32BE(start), height: content.readUInt32BE(start + 4), channels };
}

/** The compressed rows, where nothing but plain chunks, all of them whole, lie between the signature and the end of the file. */
function packedRows(content: Buffer): Buffer | null {
  const parts: Buffer[] = [];
  let before = '';
  for (let at = signature.length; at + beforeContent + afterContent <= content.length;) {
    const start = at + beforeContent;
    const end = start + content.readUInt32BE(at);
    if (end + afterContent > content.length) return null;
    const type = typeAt(content, start);
    if (crc32(content.subarray(start - 4, end)) !== content.readUInt32BE(end)) return null;
    at = end + afterContent;
    if (type === 'IEND') return start === end && at === content.length ? joined(parts) : null;
    if (type === 'IDAT') {
      // Rows lie together, or the file is damaged.
      if (parts.length > 0 && before !== type) return null;
      parts.push(content.subarray(start, end));
    } else if (type === 'IHDR' ? before !== '' : !plainChunks.has(type)) return null;
    before = type;
  }
  return null;
}

function joined(parts: readonly Buffer[]): Buffer | null {
  const [first] = parts;
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
}

/**
 * Rows of bytes, each after the number of its filter (PNG specification, section 9), to the bytes that were filtered.
 * @param distance from a byte to the same channel of the pixel before it
 * @returns null for a filter that there is not
 */
function unfiltered(
  rows: Uint8Array,
  height: number,
  rowLength: number,
  distance: number,
): Uint8Array | null {
  const data = new Uint8Array(height * rowLength);
  for (let row = 0; row < height; row += 1) {
    const from = row * (1 + rowLength) + 1;
    const to = row * rowLength;
    const filter = rows[from - 1] ?? 0;
    if (filter > 4) return null;
    data.set(rows.subarray(from, from + rowLength), to);
    if (filter === 0) continue;
    for (let at = to; at < to + rowLength; at += 1) {
      const isFirst = at < to + distance;
      const left = isFirst ? 0 : (data[at - distance] ?? 0);
      const above = row === 0 ? 0 : (data[at - rowLength] ?? 0);
      const corner = isFirst || row === 0 ? 0 : (data[at - rowLength - distance] ?? 0);
      data[at] = (data[at] ?? 0) + predicted(filter, left, above, corner);
    }
  }
  return data;
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  switch (filter) {
    case 1:
      return left;
    case 2:
      return above;
    case 3:
      return (left + above) >> 1;
    case 4:
      return paeth(left, above, corner);
    default:
      return 0;
  }
}

/** Whichever of the three is nearest to what a plane through them would have here. */
function paeth(left: number, above: number, corner: number): number {
  const plane = left + above - corner;
  const toLeft = Math.abs(plane - left);
  const toAbove = Math.abs(plane - above);
  const toCorner = Math.abs(plane - corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** The four letters before a chunk's content. */
function typeAt(content: Buffer, contentStart: number): string {
  return content.toString('latin1', contentStart - 4, contentStart);
}
