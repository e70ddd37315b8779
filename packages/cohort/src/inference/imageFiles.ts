/** Walks a folder for image files one by one, in natural order, so that folders of any size take little memory. */
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { naturalOrder } from '../data/folder/listing.ts';

/** Endings of image files, decodable or not: what cannot be decoded is reported, not skipped. */
const ENDINGS = new Set<string>(
  'jpg jpeg jpe jfif png apng webp gif tif tiff avif svg bmp dib ppm pgm pbm pnm heic heif jp2 jxl tga ico'.split(
    ' ',
  ),
);

/** What operating systems and archivers leave behind. */
const SYSTEM_NAMES: ReadonlySet<string> = new Set(['thumbs.db', 'desktop.ini', '__macosx', '@eadir']);

/** The image files under a folder: by their endings, or by their first bytes where they have none. Each folder is visited once. */
export async function* imageFilesIn(
  folder: string,
  signal?: AbortSignal,
  visited = new Set<string>(),
): AsyncGenerator<string, void, undefined> {
  const place = await realpath(folder);
  // Links may lead in circles.
  if (visited.has(place)) return;
  visited.add(place);
  const names = (await readdir(folder)).sort(naturalOrder);
  for (const name of names) {
    signal?.throwIfAborted();
    if (name.startsWith('.') || SYSTEM_NAMES.has(name.toLowerCase())) continue;
    const path = join(folder, name);
    const status = await stat(path).catch(() => null);
    if (status?.isDirectory() === true) yield* imageFilesIn(path, signal, visited);
    else if (await isImageFile(path, status?.isFile() === true)) yield path;
  }
}

/** A dead link with the ending of an image is a missing image, which is reported. */
async function isImageFile(path: string, isFile: boolean): Promise<boolean> {
  const ending = extname(path).slice(1).toLowerCase();
  if (ending !== '') return ENDINGS.has(ending);
  return isFile && hasImageSignature(await firstBytes(path));
}

async function firstBytes(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path);
    try {
      const bytes = new Uint8Array(16);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch {
    return new Uint8Array();
  }
}

/** Whether bytes begin as those of an image do: JPEG, PNG, GIF, WebP, TIFF, BMP, AVIF or HEIF. */
export function hasImageSignature(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  return (
    /^(\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|II\*\0|MM\0\*|BM[^]{4}\0\0)/.test(text) ||
    /^RIFF[^]{4}WEBP/.test(text) ||
    /^[^]{4}ftyp(avi[fs]|hei[cfsx]|mif1|msf1)/.test(text)
  );
}
