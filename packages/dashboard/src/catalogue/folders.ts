/** Which folders there are: runs, comparisons with their runs, and those that are neither. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** File that makes a folder a comparison. */
export const COMPARISON_FILE = 'comparison.json';

/** A folder that was found. */
export interface FoundFolder {
  readonly kind: 'run' | 'comparison';
  /** Inside the folder of runs, with `/` between folders. */
  readonly folder: string;
  readonly path: string;
  /** Folder of the comparison that holds it. */
  readonly comparison: string | null;
}

/** Identifies a folder in addresses without being a path: the same after every start. */
export function folderId(folder: string): string {
  return createHash('sha256').update(folder).digest('hex').slice(0, 12);
}

/**
 * The folders in a folder of runs, the newest names last. What is neither a run nor a comparison counts as a run, so that a
 * row can say what is wrong with it. Hidden folders are on their way in or out, or caches.
 * Errors of the file system come out as they are, but a folder that is not there is an empty one.
 */
export function findFolders(root: string): FoundFolder[] {
  return foldersIn(root).flatMap((name): FoundFolder[] => {
    const path = join(root, name);
    if (!existsSync(join(path, COMPARISON_FILE))) {
      return [{ kind: 'run', folder: name, path, comparison: null }];
    }
    const inside = foldersIn(path)
      .filter((inner) => existsSync(join(path, inner, 'run.json')))
      .map((inner): FoundFolder => ({
        kind: 'run',
        folder: `${name}/${inner}`,
        path: join(path, inner),
        comparison: folderId(name),
      }));
    return [{ kind: 'comparison', folder: name, path, comparison: null }, ...inside];
  });
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith('.') && isFolder(entry, path))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function isFolder(
  entry: { readonly name: string; isDirectory: () => boolean; isSymbolicLink: () => boolean },
  path: string,
): boolean {
  if (entry.isDirectory()) return true;
  if (!entry.isSymbolicLink()) return false;
  return statSync(join(path, entry.name), { throwIfNoEntry: false })?.isDirectory() ?? false;
}
