/** Reads a whole data file with a typed error for every way that can fail, because both datasets and single images need it. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { errorCode, fileErrorReason, isNothingThere } from '@cohort-ml/errors';
import { DataError } from '../errors.ts';

/** Where and how much {@link readDataFile} may read. */
export interface ReadOptions {
  /** What is being done, for the error message: `reading image`. */
  operation: string;
  /** A larger file is refused before any of it is read. */
  maximumBytes: number;
  /** What to do when the file is not there. */
  remedyWhenMissing: string;
}

/**
 * Reads the file at `path` into memory.
 * @throws {@link DataError} `missing`, `unreadable`, `empty` (0 bytes) or `tooLarge`.
 */
export async function readDataFile(path: string, options: ReadOptions): Promise<Buffer> {
  const operation = `${options.operation} ${path}`;
  try {
    // Without blocking: opening a named pipe would else wait for a writer, for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const status = await file.stat();
      if (!status.isFile()) {
        throw new DataError('unreadable', {
          operation,
          expected: 'a file',
          received: status.isDirectory() ? 'a folder' : 'something that is not a regular file',
          remedy: 'Give the path of a file.',
          path,
        });
      }
      if (status.size > options.maximumBytes) {
        throw new DataError('tooLarge', {
          operation,
          expected: `at most ${options.maximumBytes} bytes`,
          received: `${status.size} bytes`,
          remedy: 'Check that this is the file you meant.',
          path,
        });
      }
      if (status.size === 0) {
        throw new DataError('empty', {
          operation,
          expected: 'a file with content',
          received: 'a file of 0 bytes',
          remedy: 'Fetch or make the file again: its download or copy probably broke off.',
          path,
        });
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    const code = errorCode(error);
    if (isNothingThere(error)) {
      throw new DataError('missing', {
        operation,
        expected: 'an existing file',
        received: 'nothing at that path',
        remedy: options.remedyWhenMissing,
        path,
        cause: error,
      });
    }
    throw new DataError('unreadable', {
      operation,
      expected: 'a readable file',
      received: fileErrorReason(error),
      remedy:
        code === 'EACCES' || code === 'EPERM'
          ? `Allow this user to read it: chmod +r '${path}' (and +x on its folders).`
          : 'Check the disk and the path.',
      path,
      cause: error,
    });
  }
}
