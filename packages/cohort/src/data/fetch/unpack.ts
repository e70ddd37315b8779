/** Unpacks the members of an archive that a dataset needs, each at the place that the dataset gives it. */
import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DataError } from '../errors.ts';
import { archiveMembers } from '../formats/archive.ts';
import { safeMemberName } from '../formats/tar.ts';
import { makeWritableFolder, writeError } from './files.ts';

/** What {@link unpackArchive} is told. */
export interface UnpackOptions {
  readonly signal?: AbortSignal;
  /** After every file, with how many there are by now. */
  readonly onFile?: (files: number) => void;
}

/**
 * Writes members of `archive` into `folder`.
 * @param place - the path inside `folder` for a member of the archive, or null to leave it out.
 * @returns how many files were written.
 * @throws {@link DataError} as `archiveMembers`; `missing` when no member is wanted; `unwritable`.
 */
export async function unpackArchive(
  archive: string,
  folder: string,
  place: (member: string) => string | null,
  options: UnpackOptions = {},
): Promise<number> {
  let files = 0;
  const made = new Set<string>();
  for await (const { name, content } of archiveMembers(archive)) {
    options.signal?.throwIfAborted();
    const target = place(name);
    if (target === null) continue;
    const path = join(folder, safeMemberName(target, archive));
    if (!made.has(dirname(path))) makeWritableFolder(dirname(path));
    made.add(dirname(path));
    try {
      await pipeline(content, createWriteStream(path));
    } catch (error) {
      throw writeError(error, path);
    }
    files += 1;
    options.onFile?.(files);
  }
  if (files > 0) return files;
  throw new DataError('missing', {
    operation: `unpacking ${archive}`,
    expected: 'the files of the dataset',
    received: 'none of them',
    remedy: 'This is another archive: fetch it again.',
    path: archive,
  });
}
