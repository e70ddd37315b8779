/** Fixtures for this folder's tests: small real image files, written where the tests want them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { afterEach, beforeEach } from 'vitest';
import { crc32 } from '../../weights/crc32.ts';
import { hashKeys } from '../loading/random.ts';
import type { LoadingReporter } from '../dataset.ts';
import { temporaryFolder } from '../testing.ts';

/** Size and content of a picture. */
export interface Picture {
  readonly width?: number;
  readonly height?: number;
  /** Pictures of one seed are the same, of two seeds differ. */
  readonly seed?: number;
  readonly grey?: boolean;
}

/** A picture of coarse coloured noise, which survives JPEG and resizing. */
export function paint({ width = 24, height = 16, seed = 0, grey = false }: Picture): Sharp {
  const channels = grey ? 1 : 3;
  const cells = Uint8Array.from({ length: 16 * channels }, (_, index) => hashKeys(11, seed, index) & 0xff);
  const picture = sharp(cells, { raw: { width: 4, height: 4, channels } }).resize(width, height, {
    fit: 'fill',
    kernel: 'nearest',
  });
  return grey ? picture.toColourspace('b-w') : picture;
}

/** Writes a file and the folders above it; returns its path. */
export function place(root: string, name: string, content: Uint8Array | string = ''): string {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** A folder of its own for each test of a file, with a way to fill it. */
export function useFolder(): { readonly path: string; placeAll: (...names: string[]) => void } {
  let folder: ReturnType<typeof temporaryFolder> | null = null;
  const current = (): string => {
    if (folder === null) throw new Error('there is no folder outside of tests');
    return folder.path;
  };
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => {
    folder?.remove();
  });
  return {
    get path() {
      return current();
    },
    // Listing does not look into files, so any bytes do.
    placeAll: (...names) => {
      for (const name of names) place(current(), name, 'x');
    },
  };
}

/** Writes pictures, each in the format of its ending; a number is the seed. */
export async function placePictures(
  root: string,
  pictures: Readonly<Record<string, number | Picture>>,
): Promise<void> {
  for (const [name, given] of Object.entries(pictures)) {
    const picture = paint(typeof given === 'number' ? { seed: given } : given);
    const isJpeg = /\.jpe?g$/i.test(name);
    place(root, name, await (isJpeg ? picture.jpeg({ quality: 95 }) : picture.png()).toBuffer());
  }
}

/** `count` pictures in the folder of each class, all different. */
export async function placeClasses(
  root: string,
  classes: Readonly<Record<string, number>>,
  picture: Picture = {},
): Promise<void> {
  let seed = picture.seed ?? 1;
  for (const [name, count] of Object.entries(classes)) {
    for (let number = 0; number < count; number += 1, seed += 1) {
      await placePictures(root, { [`${name}/${number}.png`]: { ...picture, seed } });
    }
  }
}

/** A whole PNG, black, one bit a pixel: a small file however many pixels it has. */
export function blackPng(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const rows = deflateSync(Buffer.alloc(height * (1 + Math.ceil(width / 8))), { level: 1 });
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(content.length, 0);
  ends.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([ends.subarray(0, 4), named, ends.subarray(4)]);
}

/** Remembers everything that is reported. */
export class Notes implements LoadingReporter {
  readonly messages: string[] = [];
  readonly warnings: string[] = [];
  readonly progressed: string[] = [];

  progress(text: string): void {
    this.progressed.push(text);
  }

  message(text: string): void {
    this.messages.push(text);
  }

  warning(text: string): void {
    this.warnings.push(text);
  }

  get text(): string {
    return [...this.messages, ...this.warnings].join('\n');
  }
}
