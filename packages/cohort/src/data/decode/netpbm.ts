/** Reads the Netpbm formats PBM, PGM, PPM (plain and raw) and PAM, which are short enough to need no library. */
import type { PixelImage } from '@cohort-ml/runtime';
import { SampleError, samplesToBytes } from './samples.ts';

/** What the header says. */
export interface NetpbmHeader {
  readonly kind: number;
  readonly width: number;
  readonly height: number;
  readonly bands: 1 | 2 | 3 | 4;
  readonly maximum: number;
  /** Where the samples begin. */
  readonly offset: number;
}

/** True for the first bytes of a Netpbm file. */
export function isNetpbm(content: Uint8Array): boolean {
  const [letter, digit, space] = content;
  const isSpace = space === 0x20 || space === 0x23 || (space !== undefined && space >= 9 && space <= 13);
  return letter === 0x50 && digit !== undefined && digit >= 0x31 && digit <= 0x37 && isSpace;
}

/** @throws {Error} for a damaged header */
export function readNetpbmHeader(content: Buffer): NetpbmHeader {
  const kind = (content[1] ?? 0) - 0x30;
  const header = kind === 7 ? pamHeader(content) : plainHeader(content, kind);
  const { width, height, maximum, bands } = header;
  const isRight =
    [width, height, maximum].every((value) => Number.isSafeInteger(value) && value >= 1) &&
    maximum <= 65_535 &&
    bands >= 1 &&
    bands <= 4;
  if (!isRight) throw new Error('its Netpbm header is damaged');
  return header;
}

function plainHeader(content: Buffer, kind: number): NetpbmHeader {
  const isBitmap = kind === 1 || kind === 4;
  const numbers: number[] = [];
  let offset = 2;
  while (numbers.length < (isBitmap ? 2 : 3)) {
    const token = nextToken(content, offset);
    numbers.push(Number(token.text));
    offset = token.end;
  }
  const [width = 0, height = 0, maximum = 1] = numbers;
  // A single white space ends the header.
  return { kind, width, height, maximum, bands: kind === 3 || kind === 6 ? 3 : 1, offset: offset + 1 };
}

function pamHeader(content: Buffer): NetpbmHeader {
  const end = content.indexOf('ENDHDR\n', 0, 'latin1');
  if (end < 0) throw new Error('its Netpbm header is damaged');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(content.toString('latin1', 0, end))?.[1]);
  const depth = field('DEPTH');
  return {
    kind: 7,
    width: field('WIDTH'),
    height: field('HEIGHT'),
    maximum: field('MAXVAL'),
    bands: depth === 1 || depth === 2 || depth === 3 ? depth : depth === 4 ? 4 : wrongDepth(depth),
    offset: end + 7,
  };
}

function wrongDepth(depth: number): never {
  throw new SampleError(`it has ${depth} bands, and a picture has at most 4`);
}

/** Digits after white space and comments. */
function nextToken(content: Buffer, from: number): { readonly text: string; readonly end: number } {
  let start = from;
  while (start < content.length) {
    const byte = content[start] ?? 0;
    if (byte === 0x23) {
      const line = content.indexOf(0x0a, start);
      if (line < 0) break;
      start = line + 1;
    } else if (byte === 0x20 || (byte >= 9 && byte <= 13)) start += 1;
    else break;
  }
  let end = start;
  while (end < content.length && (content[end] ?? 0) >= 0x30 && (content[end] ?? 0) <= 0x39) end += 1;
  if (end === start) throw new Error('it ends before its last pixel');
  return { text: content.toString('latin1', start, end), end };
}

/** The pixels, scaled by the largest value that the header allows. @throws {Error} for a file that is cut short */
export function readNetpbmPixels(content: Buffer, header: NetpbmHeader): PixelImage {
  const { width, height, bands, maximum } = header;
  const data = header.kind <= 3 ? plainSamples(content, header) : rawSamples(content, header);
  const samples = {
    width,
    height,
    bands,
    data,
    format: 'unsigned',
    bits: 16,
    declared: { black: 0, white: maximum },
  } as const;
  const bytes = samplesToBytes(
    samples,
    Array.from({ length: bands }, (_, band) => band),
  );
  return { width, height, channels: bands, data: bytes };
}

function plainSamples(content: Buffer, { kind, width, height, bands, offset }: NetpbmHeader): Uint16Array {
  const samples = new Uint16Array(width * height * bands);
  let at = offset - 1;
  for (let index = 0; index < samples.length; index += 1) {
    if (kind === 1) {
      // Bits need no space between them: 1 is black.
      while (content[at] !== 0x30 && content[at] !== 0x31) {
        if (at >= content.length) throw new Error('it ends before its last pixel');
        at += 1;
      }
      samples[index] = content[at] === 0x31 ? 0 : 1;
      at += 1;
    } else {
      const token = nextToken(content, at);
      samples[index] = Number(token.text);
      at = token.end;
    }
  }
  return samples;
}

function rawSamples(content: Buffer, header: NetpbmHeader): Uint16Array {
  const { kind, width, height, bands, maximum, offset } = header;
  const count = width * height * bands;
  const bytesPerRow = Math.ceil(width / 8);
  const needed = kind === 4 ? bytesPerRow * height : count * (maximum > 255 ? 2 : 1);
  if (content.length < offset + needed) throw new Error('it ends before its last pixel');
  if (kind === 4) {
    return Uint16Array.from({ length: count }, (_, index) => {
      const column = index % width;
      const byte = content[offset + Math.floor(index / width) * bytesPerRow + (column >> 3)] ?? 0;
      return (byte >> (7 - (column & 7))) & 1 ? 0 : 1;
    });
  }
  if (maximum > 255) {
    return Uint16Array.from({ length: count }, (_, index) => content.readUInt16BE(offset + 2 * index));
  }
  return Uint16Array.from(content.subarray(offset, offset + count));
}
