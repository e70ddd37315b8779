/**
 * Reads small PNG files of the plainest form by fast-png: for 32x32 pixels, setting up a pipeline in sharp takes ten times as
 * long as decoding. The pixels are those of sharp, which still reads everything else.
 */
import type { PixelImage } from '@cohort-ml/runtime';

/** In pixels. Beyond this, native code on a thread of its own is the better choice. */
const mostPixels = 64 * 64;
const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Colour types of PNG without palette and alpha, with the channels of their pixels. */
const channelsOf: Readonly<Record<number, 1 | 3>> = { 0: 1, 2: 3 };
/** Chunks without influence on the pixels, and those that hold them. */
const plainChunks: ReadonlySet<string> = new Set(['IDAT', 'pHYs', 'tIME', 'sRGB', 'gAMA', 'cHRM']);
const headerLength = 13;

/**
 * The pixels of a PNG with 8 bits per channel, grey or RGB, without transparency, interlacing or metadata that could turn it.
 * @returns null for any other file, and for a damaged one, about which sharp has a reason to give
 */
export async function readSmallPng(content: Buffer, maximumPixels: number): Promise<PixelImage | null> {
  const form = formOf(content);
  if (form === null || form.width * form.height > Math.min(mostPixels, maximumPixels)) return null;
  fastPng ??= import('fast-png');
  const { decode } = await fastPng;
  try {
    const { data, channels } = decode(content, { checkCrc: true });
    const length = form.width * form.height * form.channels;
    if (channels !== form.channels || data.length !== length || !(data instanceof Uint8Array)) return null;
    return { ...form, data };
  } catch {
    return null;
  }
}

/** To ask for a module again takes about as long as a small image. */
let fastPng: Promise<typeof import('fast-png')> | undefined;

/** What the header says, where header and chunks are of the plain form. */
function formOf(content: Buffer): Omit<PixelImage, 'data'> | null {
  const start = signature.length + 8;
  if (content.length < start + headerLength + 4 || !content.subarray(0, signature.length).equals(signature)) {
    return null;
  }
  if (content.readUInt32BE(signature.length) !== headerLength || typeAt(content, start) !== 'IHDR')
    return null;
  const [bits, colour, compression, filter, interlacing] = content.subarray(start + 8, start + headerLength);
  const channels = channelsOf[colour ?? -1];
  if (bits !== 8 || channels === undefined || compression !== 0 || filter !== 0 || interlacing !== 0) {
    return null;
  }
  if (!hasPlainChunks(content, start + headerLength + 4)) return null;
  return { width: content.readUInt32BE(start), height: content.readUInt32BE(start + 4), channels };
}

/** Whether nothing but plain chunks lie between `from` and an end chunk that ends the file. */
function hasPlainChunks(content: Buffer, from: number): boolean {
  let at = from;
  while (at + 12 <= content.length) {
    const length = content.readUInt32BE(at);
    const type = typeAt(content, at + 8);
    const next = at + 12 + length;
    if (type === 'IEND') return length === 0 && next === content.length;
    if (!plainChunks.has(type)) return false;
    at = next;
  }
  return false;
}

/** The four letters before a chunk's content. */
function typeAt(content: Buffer, contentStart: number): string {
  return content.toString('latin1', contentStart - 4, contentStart);
}
