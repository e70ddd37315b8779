/** Walks a folder for image files, and remembers everything that it passed by, so that nothing is left out in silence. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { DataError, errorText, isNothingThere } from '../errors.ts';
import { exists } from '../places.ts';
import { countOf, firstNames } from './listing.ts';

/** Endings of the image files that can be decoded, without the dot. */
const IMAGE_ENDINGS: ReadonlySet<string> = new Set(
  'jpg jpeg jpe jfif png webp gif tif tiff avif svg'.split(' '),
);
/** Endings of images that sharp cannot decode as it comes from npm. */
const FOREIGN_ENDINGS: ReadonlySet<string> = new Set(
  'bmp heic heif psd raw cr2 cr3 nef arw dng jxl jp2 ppm pgm pbm tga ico exr hdr'.split(' '),
);
/** What operating systems and archivers leave behind. */
const SYSTEM_NAMES: ReadonlySet<string> = new Set(['thumbs.db', 'desktop.ini', '__macosx', '@eadir']);

/** One name in a folder, after links were followed. */
export interface FolderEntry {
  readonly name: string;
  readonly path: string;
  readonly isFolder: boolean;
}

/** Lists folders under one root, and counts what it passes by. */
export class FolderWalker {
  /** The root with all links resolved: nothing outside of it is read. */
  readonly #root: string;
  readonly #signal: AbortSignal | undefined;
  #hidden = 0;
  readonly #others: string[] = [];
  readonly #foreign: string[] = [];
  readonly #leaving: string[] = [];
  readonly #deadLinks: string[] = [];
  readonly #circles: string[] = [];
  readonly #garbled: string[] = [];

  private constructor(root: string, signal: AbortSignal | undefined) {
    this.#root = root;
    this.#signal = signal;
  }

  /** @throws {DataError} `missing` or `unreadable` for a root that is no folder. */
  static async open(root: string, signal?: AbortSignal): Promise<FolderWalker> {
    const operation = `listing the images of ${root}`;
    try {
      const status = await stat(root);
      if (status.isDirectory()) return new FolderWalker(await realpath(root), signal);
    } catch (error) {
      const isMissing = isNothingThere(error);
      throw new DataError(isMissing ? 'missing' : 'unreadable', {
        operation,
        expected: 'a folder with one sub-folder a class, or a CSV file',
        received: isMissing ? 'nothing at that path' : errorText(error),
        remedy: 'Check data.path.',
        path: root,
        cause: error,
      });
    }
    throw new DataError('unreadable', {
      operation,
      expected: 'a folder with one sub-folder a class, or a file that ends in .csv',
      received: 'another file',
      remedy: 'Check data.path.',
      path: root,
    });
  }

  get root(): string {
    return this.#root;
  }

  /** The folders and image files right inside of a folder; everything else is counted. */
  async entries(folder: string): Promise<FolderEntry[]> {
    this.#signal?.throwIfAborted();
    const found = await this.#read(folder);
    const entries: FolderEntry[] = [];
    for (const entry of found) {
      const { name } = entry;
      const path = join(folder, name);
      if (name.startsWith('.') || SYSTEM_NAMES.has(name.toLowerCase())) {
        this.#hidden += 1;
        continue;
      }
      if (name.includes('\uFFFD') && !(await exists(path))) {
        // Bytes that are no UTF-8 cannot be written in a path: nothing opens it.
        this.#garbled.push(this.nameOf(path));
        continue;
      }
      const kind = entry.isSymbolicLink() ? await this.#follow(path) : kindOf(entry);
      if (kind === null) continue;
      if (kind === 'folder') entries.push({ name, path, isFolder: true });
      else if (kind === 'file' && IMAGE_ENDINGS.has(endingOf(name)))
        entries.push({ name, path, isFolder: false });
      else (FOREIGN_ENDINGS.has(endingOf(name)) ? this.#foreign : this.#others).push(this.nameOf(path));
    }
    return entries;
  }

  /** Every image file in a folder and the folders inside of it. */
  async images(folder: string, ancestors: readonly string[] = []): Promise<string[]> {
    const real = await realpath(folder);
    if (ancestors.includes(real)) {
      this.#circles.push(this.nameOf(folder));
      return [];
    }
    const paths: string[] = [];
    for (const { path, isFolder } of await this.entries(folder)) {
      if (!isFolder) paths.push(path);
      else for (const inner of await this.images(path, [...ancestors, real])) paths.push(inner);
    }
    return paths;
  }

  /** Path from the root, with `/` on every system. */
  nameOf(path: string): string {
    return path
      .slice(this.#root.length + 1)
      .split(sep)
      .join('/');
  }

  /** What was passed by, a sentence each. */
  notices(): string[] {
    const lines: string[] = [];
    const tell = (names: readonly string[], what: string, unit: string): void => {
      if (names.length > 0)
        lines.push(
          `${what}: ${countOf(names.length, unit, unit === 'file or folder' ? 'files or folders' : undefined)} (${firstNames(names)})`,
        );
    };
    if (this.#hidden > 0) lines.push(`ignored, hidden: ${countOf(this.#hidden, 'file')}`);
    tell(this.#others, 'ignored, no image', 'file');
    tell(this.#foreign, 'ignored, in a format that cannot be read (save as JPEG or PNG)', 'file');
    tell(this.#leaving, 'not followed, leading out of the folder', 'link');
    tell(this.#deadLinks, 'not followed, leading nowhere', 'link');
    tell(this.#circles, 'not followed, leading in circles', 'link');
    tell(this.#garbled, 'ignored, with a name that is no UTF-8 (rename it)', 'file or folder');
    return lines;
  }

  async #read(folder: string) {
    try {
      return await readdir(folder, { withFileTypes: true });
    } catch (error) {
      throw new DataError('unreadable', {
        operation: `listing the folder ${folder}`,
        expected: 'a folder that can be read',
        received: errorText(error),
        remedy: `Allow this user to read it (chmod +rx '${folder}'), or move it away.`,
        path: folder,
        cause: error,
      });
    }
  }

  /** What a link leads to; null (and counted) when it leads nowhere or out of the root. */
  async #follow(path: string): Promise<'folder' | 'file' | 'other' | null> {
    try {
      const target = await realpath(path);
      if (target !== this.#root && !target.startsWith(this.#root + sep)) {
        this.#leaving.push(this.nameOf(path));
        return null;
      }
      return kindOf(await stat(target));
    } catch {
      this.#deadLinks.push(this.nameOf(path));
      return null;
    }
  }
}

function kindOf(entry: { isDirectory(): boolean; isFile(): boolean }): 'folder' | 'file' | 'other' {
  return entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other';
}

function endingOf(name: string): string {
  return extname(name).slice(1).toLowerCase();
}
