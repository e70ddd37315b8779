/** Recognises archives among images and says how to unpack them, because pictures that are still packed are missing from a set without a trace. */
import { basename, dirname, join } from 'node:path';
import { shellCommand } from '../../support/shellCommand.ts';
import { countOf, firstNames } from './listing.ts';

const ARCHIVE =
  /\.(?:zipx?|tgz|tbz2?|txz|tzst|7z|rar|cab|cbz|cbr|lzh|tar(?:\.(?:gz|bz2|xz|zst|lz4|lzma|z))?)(?:\.\d{2,3})?$/i;
/** A compressed file that is no table or text: `images.gz` and `0.png.gz`, but not `labels.csv.gz`. */
const COMPRESSED = /^(?:[^.]+|.*\.(?:jpe?g|png|tiff?|bmp|webp))\.(?:gz|bz2|xz|zst)$/i;
/** Later volumes of an archive that was cut into several files. */
const VOLUME = /\.(?:[zr]\d\d|(?:zip|7z|rar|tar)\.(?!0*1$)\d{2,3}|part(?!0*1\.)\d+\.rar)$/i;

/** Whether a file is an archive by its name. */
export function isArchiveName(name: string): boolean {
  return ARCHIVE.test(name) || COMPRESSED.test(name) || VOLUME.test(name);
}

/** Archives of a folder, by what is next to them. */
export interface FoundArchives {
  /** Paths of those that nothing is next to. */
  readonly packed: readonly string[];
  /** Paths of those next to a folder with their name. */
  readonly unpacked: readonly string[];
}

/**
 * @param paths of archives
 * @param hasImages whether there are images in the folder at a path
 */
export function sortArchives(
  paths: readonly string[],
  hasImages: (folder: string) => boolean,
): FoundArchives {
  const isUnpacked = (path: string): boolean => {
    const stem = stemOf(path);
    return (
      hasImages(join(dirname(path), stem)) || basename(dirname(path)).toLowerCase() === stem.toLowerCase()
    );
  };
  return {
    packed: paths.filter((path) => !isUnpacked(path)),
    unpacked: paths.filter(isUnpacked),
  };
}

/** A warning that names archives and a command that unpacks the first; null for none. @param nameOf shown for a path */
export function packedWarning(paths: readonly string[], nameOf: (path: string) => string): string | null {
  const [first, ...others] = paths.filter((path) => !VOLUME.test(path));
  if (first === undefined) return null;
  const shown = firstNames([first, ...others].map(nameOf));
  const them = others.length === 0 ? 'it' : 'them';
  return `not unpacked, so that no image in ${them} is used: ${countOf(others.length + 1, 'archive')} (${shown}). Unpack ${them} first: ${unpackCommand(first)}`;
}

/** The command that unpacks an archive into the folder that it is in, or one of its name. */
function unpackCommand(path: string): string {
  const folder = join(dirname(path), stemOf(path));
  if (/\.zipx?(?:\.\d+)?$/i.test(path) || /\.cbz$/i.test(path))
    return shellCommand(['unzip', path, '-d', folder]);
  if (/\.(?:7z|rar|cab|cbr|lzh)(?:\.\d+)?$/i.test(path))
    return shellCommand(['7z', 'x', path, `-o${folder}`]);
  if (/\.t(?:ar|gz|bz|bz2|xz|zst)(?:\.\w+)?$/i.test(path)) {
    return `${shellCommand(['mkdir', folder])} && ${shellCommand(['tar', '-xf', path, '-C', folder])}`;
  }
  return shellCommand([/\.gz$/i.test(path) ? 'gunzip' : '7z x', path]);
}

/** The name without the endings of archives and volumes. */
function stemOf(path: string): string {
  const name = basename(path)
    .replace(/\.\d{2,3}$/, '')
    .replace(/\.part\d+(?=\.rar$)/i, '');
  const stem = name.replace(ARCHIVE, '');
  return stem === name ? name.replace(/\.[^.]*$/, '') : stem;
}
