/** File operations that survive a crash or a full disk: atomic replacement, appends that leave no half line, and fsync of whole folders. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describeFileError, fileErrorCode } from './errors.ts';

/** A suffix that no other writer has chosen. */
export function uniqueSuffix(): string {
  return randomBytes(6).toString('hex');
}

/**
 * Writes a file so that at any moment the path holds the old content or the new, never a part: the data goes to a
 * temporary file next to it, is flushed to the disk and renamed into place. On failure the old file is untouched and
 * the temporary one removed.
 * @throws RunError that names the path and the remedy
 */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  try {
    replaceFile(path, data);
  } catch (error) {
    // Of a new file, that it does not exist would say nothing.
    const isFolderMissing = fileErrorCode(error) === 'ENOENT' && !existsSync(dirname(path));
    throw describeFileError(error, `write ${basename(path)}`, isFolderMissing ? dirname(path) : path);
  }
}

/** `writeFileAtomic` with the system's own errors, for callers that add to the message. */
export function replaceFile(path: string, data: string | Uint8Array): void {
  const temporary = join(dirname(path), `.${basename(path)}.partial-${uniqueSuffix()}`);
  try {
    const file = openSync(temporary, 'wx');
    try {
      writeFileSync(file, data);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
  syncFolder(dirname(path));
}

/**
 * Makes a folder with those above it. `mkdirSync` can do that too, but in Node 20 it never returns where the system
 * answers "no such file" for a folder whose parent is there, as under /proc.
 * Errors of the file system come out as they are.
 */
export function makeFolders(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    makeFolders(dirname(path));
    makeFolders(path);
  }
}

/**
 * Appends whole lines. If the write fails half-way (a full disk), the file is cut back to where it was: a half line
 * in the middle would make the file unreadable once there is space again.
 */
export function appendWhole(path: string, text: string | Uint8Array): void {
  const file = openSync(path, 'a');
  try {
    const { size } = fstatSync(file);
    try {
      writeFileSync(file, text);
    } catch (error) {
      try {
        ftruncateSync(file, size);
      } catch {
        // The first error says why; this one would only hide it.
      }
      throw error;
    }
  } finally {
    closeSync(file);
  }
}

/** Removes a file or folder; a failure is passed over because it happens on the way out of another one. */
export function removeQuietly(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // What is left behind has a name that readers ignore.
  }
}

/** Flushes every file and folder under `folder`, and the folder itself, to the disk. */
export function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else if (entry.isFile()) syncPath(path);
  }
  syncFolder(folder);
}

/** Flushes a folder's list of names to the disk, which makes renames in it durable. */
export function syncFolder(folder: string): void {
  // Windows cannot open a folder for this.
  if (process.platform === 'win32') return;
  try {
    syncPath(folder);
  } catch (error) {
    // Some network and FUSE file systems know no fsync of folders; there is nothing more to be done on them.
    const code = fileErrorCode(error);
    if (code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
  }
}

function syncPath(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
