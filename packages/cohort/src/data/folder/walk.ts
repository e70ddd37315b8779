/** Walks a folder for image files, and remembers everything that it passed by, so that nothing is left out in silence. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { errorCode, errorText, isNothingThere } from '@cohort-ml/errors';
import { DataError } from '../errors.ts';
import { exists } from '../places.ts';
import { mapPool } from '../loading/pool.ts';
import { isArchiveName, packedWarning, sortArchives } from './archives.ts';
import { fileSignature } from './imageSignature.ts';
import { countOf, firstNames, type BrokenFile } from './listing.ts';
import { describeSource, nearestPath } from './sourceHints.ts';

/** Endings of the image files that can be decoded, without the dot. */
export const IMAGE_ENDINGS: ReadonlySet<string> = new Set(
  'jpg jpeg jpe jfif pjpeg png apng webp gif tif tiff avif svg bmp dib ppm pgm pbm pnm pam'.split(' '),
);
/** Endings of images that cannot be decoded. */
const FOREIGN_ENDINGS: ReadonlySet<string> = new Set(
  'heic heif psd raw cr2 cr3 nef arw dng orf rw2 raf pef srw jxl jp2 j2k tga ico exr hdr pfm fits dcm'.split(
    ' ',
  ),
);
/** Endings of what usually lies among images; files with them are not looked into. */
const SIDE_ENDINGS: ReadonlySet<string> = new Set(
  'txt csv tsv json jsonl xml yaml yml md html htm log pdf py ipynb sh bat mat npy npz pkl pt pth h5 db gz bz2 xz zst xlsx ods xls doc docx mp4 avi mov webm wav mp3 tfrecord parquet bak tmp part crdownload download orig old swp lnk url ini cfg conf sha256 md5 asc'.split(
    ' ',
  ),
);
/** What operating systems, network drives and archivers leave behind. */
const SYSTEM_NAMES: ReadonlySet<string> = new Set([
  'thumbs.db',
  'desktop.ini',
  '__macosx',
  '@eadir',
  '#recycle',
  '$recycle.bin',
  'system volume information',
  '__pycache__',
]);

/** One name in a folder, after links were followed. */
export interface FolderEntry {
  readonly name: string;
  readonly path: string;
  readonly isFolder: boolean;
}

/** A folder with everything inside of it that holds images. */
export interface ImageTree {
  /** As the file system spells it; empty for the root. */
  readonly name: string;
  /** From the root, with `/` on every system. */
  readonly place: string;
  /** Paths of the images right inside of it. */
  readonly images: readonly string[];
  readonly folders: readonly ImageTree[];
  /** Images in it and in the folders inside of it. */
  readonly count: number;
}

/** How a {@link FolderWalker} walks. */
export interface WalkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Follows links that lead out of the folder. */
  readonly followLinks?: boolean | undefined;
}

/** Lists folders under one root, and counts what it passes by. */
export class FolderWalker {
  /** The root with all links resolved: nothing outside of it is read unless that is asked for. */
  readonly #root: string;
  readonly #signal: AbortSignal | undefined;
  readonly #followsLinks: boolean;
  #hidden = 0;
  readonly #others: string[] = [];
  readonly #unknown: string[] = [];
  readonly #foreign: string[] = [];
  /** Paths of archives, and of folders that hold images. */
  readonly #archives: string[] = [];
  readonly #withImages = new Set<string>();
  readonly #byContent: string[] = [];
  readonly #leaving: string[] = [];
  readonly #deadLinks: string[] = [];
  readonly #circles: string[] = [];
  readonly #garbled: string[] = [];
  readonly #unreadable: BrokenFile[] = [];

  private constructor(root: string, { signal, followLinks = false }: WalkOptions) {
    this.#root = root;
    this.#signal = signal;
    this.#followsLinks = followLinks;
  }

  /** @throws {DataError} `missing` or `unreadable` for a root that is no folder. */
  static async open(root: string, options: WalkOptions = {}): Promise<FolderWalker> {
    const operation = `listing the images of ${root}`;
    try {
      const status = await stat(root);
      if (status.isDirectory()) return new FolderWalker(await realpath(root), options);
    } catch (error) {
      const isMissing = isNothingThere(error);
      const hint = isMissing ? await nearestPath(root) : null;
      throw new DataError(isMissing ? 'missing' : 'unreadable', {
        operation,
        expected: 'a folder with one sub-folder per class, or a table (CSV)',
        received: isMissing ? 'nothing at that path' : errorText(error),
        remedy: hint ?? 'Check the path.',
        path: root,
        cause: error,
      });
    }
    const { what, remedy } = await describeSource(root);
    throw new DataError('unreadable', {
      operation,
      expected: 'a folder with one sub-folder per class, or a table that ends in .csv, .tsv or .txt',
      received: what,
      remedy,
      path: root,
    });
  }

  get root(): string {
    return this.#root;
  }

  /** Folders that may not be read, with the reason. */
  get unreadable(): readonly BrokenFile[] {
    return this.#unreadable;
  }

  /** Folders inside that were not looked into, from the root: what may not be read, and circles. */
  get closed(): ReadonlySet<string> {
    return new Set([...this.#unreadable.map(({ name }) => name.replace(/\/$/, '')), ...this.#circles]);
  }

  /** The folders and image files right inside of a folder; everything else is counted. */
  async entries(folder: string): Promise<FolderEntry[]> {
    this.#signal?.throwIfAborted();
    const entries: FolderEntry[] = [];
    const withoutEnding: FolderEntry[] = [];
    for (const entry of await this.#read(folder)) {
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
      const ending = endingOf(name);
      if (kind === 'folder') entries.push({ name, path, isFolder: true });
      else if (kind !== 'file') this.#others.push(this.nameOf(path));
      else if (IMAGE_ENDINGS.has(ending)) entries.push({ name, path, isFolder: false });
      else if (FOREIGN_ENDINGS.has(ending)) this.#foreign.push(this.nameOf(path));
      else if (isArchiveName(name)) this.#archives.push(path);
      else if (SIDE_ENDINGS.has(ending)) this.#others.push(this.nameOf(path));
      else withoutEnding.push({ name, path, isFolder: false });
    }
    return withoutEnding.length === 0 ? entries : [...entries, ...(await this.#imagesAmong(withoutEnding))];
  }

  /** Every image file in a folder and the folders inside of it. */
  async images(folder: string): Promise<string[]> {
    const gather = ({ images, folders }: ImageTree): string[] => [...images, ...folders.flatMap(gather)];
    return gather(await this.tree(folder));
  }

  /** A folder with all that is inside of it; folders without images are in it, with a count of 0. */
  async tree(folder: string = this.#root, ancestors: readonly string[] = []): Promise<ImageTree> {
    const place = this.nameOf(folder);
    const name = place.replace(/^.*\//, '');
    const real = await realpath(folder);
    // A link to the root or to what it is in is a circle too, wherever the walk began.
    const isAround = folder !== this.#root && isWithin(this.#root, real);
    if (ancestors.includes(real) || isAround) {
      this.#circles.push(place);
      return { name, place, images: [], folders: [], count: 0 };
    }
    const images: string[] = [];
    const folders: ImageTree[] = [];
    for (const entry of await this.entries(folder)) {
      if (entry.isFolder) folders.push(await this.tree(entry.path, [...ancestors, real]));
      else images.push(entry.path);
    }
    const count = folders.reduce((sum, inner) => sum + inner.count, images.length);
    if (count > 0) this.#withImages.add(folder);
    return { name, place, images, folders, count };
  }

  /** Path from the root, with `/` on every system. */
  nameOf(path: string): string {
    return path
      .slice(this.#root.length + 1)
      .split(sep)
      .join('/');
  }

  /** A sentence about archives that are not unpacked, and a blank: for errors about images that are not there. Empty for none. */
  get archiveHint(): string {
    const warning = this.#packed();
    return warning === null ? '' : `${warning.replace(/^n/, 'N')}. `;
  }

  #packed(): string | null {
    const { packed } = sortArchives(this.#archives, (folder) => this.#withImages.has(folder));
    return packedWarning(packed, (path) => this.nameOf(path));
  }

  /**
   * What was passed by, a sentence each: as warnings what may well be images, as notices everything else.
   * @param count of the images that were found
   */
  passedBy(count: number): { notices: string[]; warnings: string[] } {
    const unknown = told(this.#unknown, 'ignored, no image by ending or content', 'file');
    const isMuch = this.#unknown.length * 10 > count;
    const packed = this.#packed();
    const { unpacked } = sortArchives(this.#archives, (folder) => this.#withImages.has(folder));
    return {
      notices: [
        ...(this.#hidden > 0 ? [`ignored, hidden: ${countOf(this.#hidden, 'file')}`] : []),
        ...told(this.#others, 'ignored, no image', 'file'),
        ...(isMuch ? [] : unknown),
        ...told(
          unpacked.map((path) => this.nameOf(path)),
          'ignored, unpacked already by the folder with its name',
          'archive',
        ),
        ...told(this.#byContent, 'treated as images because of their content, despite their names', 'file'),
        ...told(this.#circles, 'not followed, leading in circles', 'link'),
      ],
      warnings: [
        ...(packed === null ? [] : [packed]),
        ...told(this.#foreign, 'ignored, in a format that cannot be read (save as JPEG or PNG)', 'file'),
        ...(isMuch ? unknown : []),
        ...told(
          this.#leaving,
          'not followed, leading out of the folder (--follow-links or data.followLinks=true follows them)',
          'link',
        ),
        ...told(this.#deadLinks, 'not followed, leading nowhere', 'link'),
        ...told(this.#garbled, 'ignored, with a name that is no UTF-8 (rename it)', 'file or folder'),
      ],
    };
  }

  async #read(folder: string) {
    try {
      return await readdir(folder, { withFileTypes: true });
    } catch (error) {
      const code = errorCode(error);
      const isForbidden = code === 'EACCES' || code === 'EPERM';
      if (folder !== this.#root) {
        // As a file that cannot be read: named, and left out unless all must be whole.
        const reason = isForbidden ? `a folder that may not be read (${code})` : errorText(error);
        this.#unreadable.push({ name: `${this.nameOf(folder)}/`, reason });
        return [];
      }
      throw new DataError('unreadable', {
        operation: `listing the folder ${folder}`,
        expected: 'a folder that can be read',
        received: isForbidden ? `no permission (${code})` : errorText(error),
        remedy: `Allow this user to read it (chmod +rx '${folder}').`,
        path: folder,
        cause: error,
      });
    }
  }

  /** Those files without a known ending that are images by their first bytes. */
  async #imagesAmong(files: readonly FolderEntry[]): Promise<FolderEntry[]> {
    const signatures = await mapPool(files, 32, ({ path }) => fileSignature(path), this.#signal);
    return files.filter(({ path }, index) => {
      const kind = signatures[index]?.kind;
      const name = this.nameOf(path);
      if (kind === 'image') this.#byContent.push(name);
      else if (kind === 'archive' && extname(path) === '') this.#archives.push(path);
      else (kind === 'foreignImage' ? this.#foreign : this.#unknown).push(name);
      return kind === 'image';
    });
  }

  /** What a link leads to; null (and counted) when it leads nowhere or out of the root. */
  async #follow(path: string): Promise<'folder' | 'file' | 'other' | null> {
    try {
      const target = await realpath(path);
      const status = await stat(target);
      if (!this.#followsLinks && !isWithin(target, this.#root)) {
        this.#leaving.push(this.nameOf(path));
        return null;
      }
      return kindOf(status);
    } catch {
      this.#deadLinks.push(this.nameOf(path));
      return null;
    }
  }
}

function told(names: readonly string[], what: string, unit: string): string[] {
  if (names.length === 0) return [];
  const plural = unit === 'file or folder' ? 'files or folders' : undefined;
  return [`${what}: ${countOf(names.length, unit, plural)} (${firstNames(names)})`];
}

/** Whether a path is a folder or lies inside of it; both resolved. */
function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function kindOf(entry: { isDirectory(): boolean; isFile(): boolean }): 'folder' | 'file' | 'other' {
  return entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other';
}

function endingOf(name: string): string {
  return extname(name).slice(1).toLowerCase();
}
