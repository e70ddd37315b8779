/** File work of fetching: checksums, lists of them in the form that `sha256sum -c` reads, and errors that say what to do about a folder that cannot be written. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorText } from '@cohort-ml/errors';
import { makeFolders } from '@cohort-ml/runs';
import { DataError } from '../errors.ts';
import { exists } from '../places.ts';

/** The list of a fetched dataset's files. `sha256sum -c SHA256SUMS` in its folder verifies them too. */
export const SUMS_FILE = 'SHA256SUMS';

/** Checksum of a file, in hexadecimal. */
export async function hashFile(path: string, algorithm: 'md5' | 'sha256'): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Every regular file under a folder, as paths inside it joined by `/`, sorted. */
export async function listFiles(folder: string): Promise<string[]> {
  const listed = await readdir(folder, { withFileTypes: true, recursive: true });
  return listed
    .filter((item) => item.isFile())
    .map((item) =>
      join(item.parentPath, item.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .sort();
}

/** Writes {@link SUMS_FILE} over all other files of the folder. */
export async function writeSums(folder: string): Promise<void> {
  const lines: string[] = [];
  for (const file of await listFiles(folder)) {
    if (file !== SUMS_FILE) lines.push(`${await hashFile(join(folder, file), 'sha256')}  ${file}\n`);
  }
  await writeFile(join(folder, SUMS_FILE), lines.join(''));
}

/**
 * Compares a folder with its {@link SUMS_FILE}.
 * @returns null without one, else how many files it lists and which of them are missing or changed.
 */
export async function verifySums(folder: string): Promise<{ files: number; wrong: string[] } | null> {
  const path = join(folder, SUMS_FILE);
  if (!(await exists(path))) return null;
  const entries = (await readFile(path, 'utf8'))
    .split('\n')
    .map((line) => /^([0-9a-f]{64}) {2}(.+)$/.exec(line))
    .filter((match) => match !== null);
  const wrong: string[] = [];
  for (const [, sum, file = ''] of entries) {
    const target = join(folder, file);
    if (!(await exists(target)) || (await hashFile(target, 'sha256')) !== sum) wrong.push(file);
  }
  return { files: entries.length, wrong };
}

/**
 * Makes a folder with those above it.
 * @throws {@link DataError} `unwritable`.
 */
export function makeWritableFolder(path: string): void {
  try {
    makeFolders(path);
  } catch (error) {
    throw writeError(error, path);
  }
}

/** What to throw for an error of writing; errors of other kinds come back as they are. */
export function writeError(error: unknown, path: string): unknown {
  const code = errorCode(error);
  if (error instanceof DataError || code === undefined || !code.startsWith('E') || code.startsWith('ERR_'))
    return error;
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  return new DataError('unwritable', {
    operation: `writing ${path}`,
    expected: 'a folder that can be written to',
    received: errorText(error),
    remedy: isFull
      ? 'The disk is full: free some space and start again; what was downloaded so far is kept.'
      : 'Set XDG_CACHE_HOME to a folder of your own, or allow this user to write there.',
    path,
    cause: error,
  });
}
