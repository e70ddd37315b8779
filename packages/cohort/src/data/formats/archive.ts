/** The files inside an archive (.tar, .tar.gz, .zip), one after the other, so that loaders and fetching need not know which it is. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { errorCode, errorText, isNothingThere } from '@cohort-ml/errors';
import { DataError } from '../errors.ts';
import type { ArchiveMember } from './tar.ts';
import { safeMemberName, tarMembers } from './tar.ts';
import { LARGEST_FILE_IN_ONE_PIECE } from '../../support/limits.ts';

/**
 * The regular files of the archive at `path`, in order; which kind it is is told by its content.
 * @throws {@link DataError} naming the archive: `missing`, `unreadable`, `format` (not an archive, or a name that leaves
 *   the folder), `truncated`, `corrupt`.
 */
export async function* archiveMembers(path: string): AsyncGenerator<ArchiveMember, void, void> {
  try {
    const kind = await archiveKind(path);
    const members = kind === 'zip' ? zipMembers(path) : streamedTar(path, kind === 'tar.gz');
    for await (const member of members) yield { ...member, content: tellingErrors(member.content, path) };
  } catch (error) {
    throw archiveError(error, path);
  }
}

/** A member's content is read outside of the generator above, so that its errors have to be translated on their own. */
async function* tellingErrors(content: AsyncIterable<Buffer>, path: string): AsyncGenerator<Buffer> {
  try {
    yield* content;
  } catch (error) {
    throw archiveError(error, path);
  }
}

/**
 * Reads the members that `wanted` asks for into memory.
 * @param wanted - gets a member's path inside the archive; true keeps it.
 * @returns contents by path inside the archive.
 * @throws {@link DataError} as {@link archiveMembers}, and `tooLarge`.
 */
export async function readArchive(
  path: string,
  wanted: (name: string) => boolean,
): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for await (const member of archiveMembers(path)) {
    if (!wanted(member.name)) continue;
    if (member.size > LARGEST_FILE_IN_ONE_PIECE) {
      throw new DataError('tooLarge', {
        operation: `reading ${member.name} in archive ${path}`,
        expected: `at most ${LARGEST_FILE_IN_ONE_PIECE} bytes`,
        received: `${member.size} bytes`,
        remedy: 'Check that this is the archive you meant.',
        path,
      });
    }
    const parts: Buffer[] = [];
    for await (const part of member.content) parts.push(part);
    found.set(member.name, Buffer.concat(parts));
  }
  return found;
}

async function archiveKind(path: string): Promise<'zip' | 'tar' | 'tar.gz'> {
  const file = await open(path, 'r');
  try {
    const { buffer: start, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    if (start[0] === 0x1f && start[1] === 0x8b) return 'tar.gz';
    if (start.toString('latin1', 0, 2) === 'PK') return 'zip';
    if (start.toString('latin1', 257, 262) === 'ustar') return 'tar';
    throw new DataError(bytesRead === 0 ? 'empty' : 'format', {
      operation: `reading archive ${path}`,
      expected: 'a .tar.gz, .tar or .zip archive',
      received: bytesRead === 0 ? 'a file of 0 bytes' : `a file that begins with ${describeStart(start)}`,
      remedy:
        'Fetch the archive again: what a browser saves when a download fails is often a web page, not the file.',
      path,
    });
  } finally {
    await file.close();
  }
}

function describeStart(start: Buffer): string {
  const text = start.toString('latin1', 0, 12);
  return /^[\x20-\x7e]+$/.test(text) ? `'${text}'` : `bytes ${start.toString('hex', 0, 4)}`;
}

async function* streamedTar(path: string, isCompressed: boolean): AsyncGenerator<ArchiveMember> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const gunzip = isCompressed ? createGunzip({ chunkSize: 1 << 18 }) : undefined;
  // A fault of the file ends gunzip with that fault, which the loop below then throws.
  if (gunzip !== undefined) pipeline(file, gunzip).catch(() => undefined);
  const stream: AsyncIterable<Buffer> = gunzip ?? file;
  try {
    yield* tarMembers(stream, path);
  } finally {
    gunzip?.destroy();
    file.destroy();
  }
}

async function* zipMembers(path: string): AsyncGenerator<ArchiveMember> {
  const { default: yauzl } = await import('yauzl');
  // Our own check of names says more than the library's, which runs when it decodes them.
  const zip = await yauzl.openPromise(path, { autoClose: false, decodeStrings: false });
  try {
    for await (const entry of zip.eachEntry()) {
      const name = entry.fileNameRaw.toString('utf8');
      if (name.endsWith('/')) continue;
      const stream = await zip.openReadStreamPromise(entry);
      try {
        yield { name: safeMemberName(name, path), size: entry.uncompressedSize, content: stream };
      } finally {
        stream.destroy();
      }
    }
  } finally {
    zip.close();
  }
}

function archiveError(error: unknown, path: string): unknown {
  if (error instanceof DataError || !(error instanceof Error)) return error;
  const code = errorCode(error);
  const operation = `reading archive ${path}`;
  const details = { operation, path, cause: error };
  if (isNothingThere(error)) {
    return new DataError('missing', {
      ...details,
      expected: 'an existing file',
      received: 'nothing at that path',
      remedy: 'Check the path.',
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EISDIR' || code === 'EIO') {
    return new DataError('unreadable', {
      ...details,
      expected: 'a readable file',
      received: errorText(error),
      remedy: `Allow this user to read it: chmod +r '${path}' (and +x on its folders).`,
    });
  }
  const text = errorText(error);
  const isTruncated =
    code === 'Z_BUF_ERROR' || /truncated|unexpected e(nd|of)|end of central directory/i.test(text);
  return new DataError(isTruncated ? 'truncated' : 'corrupt', {
    ...details,
    expected: 'a complete, intact archive',
    received: isTruncated ? `one that breaks off ("${text}")` : `"${text}"`,
    remedy: `The archive is ${isTruncated ? 'truncated' : 'corrupt'}: fetch it again.`,
  });
}
