/** Finds files by names that are nearly theirs: with another case, other Unicode forms, backslashes, or no ending. */
import { readdir } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { isNothingThere } from '@cohort-ml/errors';
import { IMAGE_ENDINGS } from '../walk.ts';

/** The names in one folder. */
interface Names {
  readonly exact: ReadonlySet<string>;
  /** Names by how they look without case and Unicode form. */
  readonly loose: ReadonlyMap<string, readonly string[]>;
  /** Names of image files by what stands before their ending. */
  readonly stems: ReadonlyMap<string, readonly string[]>;
}

/** Looks files up, reading each folder once. */
export class FileFinder {
  readonly #folders = new Map<string, Promise<string | null>>();
  readonly #names = new Map<string, Promise<Names | 'unreadable' | null>>();

  /** The path of the file that a name from a table means, from a folder; null where there is none, or more than one. */
  async find(folder: string, name: string): Promise<string | null> {
    const found = await this.#lookUp(folder, name);
    if (found !== null || !name.includes('\\')) return found;
    return this.#lookUp(folder, name.replaceAll('\\', '/'));
  }

  async #lookUp(folder: string, name: string): Promise<string | null> {
    const path = isAbsolute(name) ? resolve(name) : resolve(folder, name);
    const parent = await this.#realFolder(dirname(path));
    if (parent === null) return null;
    const names = await this.#namesIn(parent);
    if (names === null) return null;
    const last = path.slice(dirname(path).length).replace(/^[/\\]/, '');
    if (names === 'unreadable') return join(parent, last);
    const actual = pick(names, last);
    return actual === null ? null : join(parent, actual);
  }

  /** The folder under the spelling that it has. */
  #realFolder(path: string): Promise<string | null> {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const found = this.#findFolder(path);
    this.#folders.set(path, found);
    return found;
  }

  async #findFolder(path: string): Promise<string | null> {
    if ((await this.#namesIn(path)) !== null) return path;
    const above = dirname(path);
    const parent = above === path ? null : await this.#realFolder(above);
    const names = parent === null ? null : await this.#namesIn(parent);
    if (parent === null || names === null || names === 'unreadable') return null;
    const name = path.slice(above.length).replace(/^[/\\]/, '');
    const [actual, ...others] = names.loose.get(looseName(name)) ?? [];
    if (actual === undefined || others.length > 0) return null;
    return (await this.#namesIn(join(parent, actual))) === null ? null : join(parent, actual);
  }

  #namesIn(folder: string): Promise<Names | 'unreadable' | null> {
    const known = this.#names.get(folder);
    if (known !== undefined) return known;
    const names = readNames(folder);
    this.#names.set(folder, names);
    return names;
  }
}

async function readNames(folder: string): Promise<Names | 'unreadable' | null> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    return isNothingThere(error) ? null : 'unreadable';
  }
  const loose = new Map<string, string[]>();
  const stems = new Map<string, string[]>();
  const add = (groups: Map<string, string[]>, key: string, name: string): void => {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [name]);
    else group.push(name);
  };
  for (const name of names) {
    add(loose, looseName(name), name);
    const [, stem, ending = ''] = /^(.+)\.([^.]+)$/.exec(name) ?? [];
    if (stem !== undefined && IMAGE_ENDINGS.has(ending.toLowerCase())) add(stems, looseName(stem), name);
  }
  return { exact: new Set(names), loose, stems };
}

/** The name that is meant: as it is written, in another spelling, or with an ending; null where that is open. */
function pick({ exact, loose, stems }: Names, name: string): string | null {
  if (exact.has(name)) return name;
  const [spelled, ...others] = loose.get(looseName(name)) ?? [];
  if (spelled !== undefined) return others.length === 0 ? spelled : null;
  const [ended, ...more] = stems.get(looseName(name)) ?? [];
  return ended !== undefined && more.length === 0 ? ended : null;
}

function looseName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}
