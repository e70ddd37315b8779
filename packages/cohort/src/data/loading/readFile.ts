/** Reads a whole data file with a typed error for every way that can fail, because both datasets and single images need it. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
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
    const content = turns.isAtOnce() ? readAtOnce(path, operation, options) : null;
    return content ?? (await readByPool(path, operation, options));
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

/** Without blocking: opening a named pipe would else wait for a writer, for ever. */
const readFlags = constants.O_RDONLY | constants.O_NONBLOCK;

/** In bytes. What is larger is read while something else goes on. */
const mostAtOnce = 64 * 1024;

/** Opening, looking at, reading and closing a file: each a task for Node's threads, which take turns with this one. */
async function readByPool(path: string, operation: string, options: ReadOptions): Promise<Buffer> {
  const file = await open(path, readFlags);
  try {
    checkStatus(await file.stat(), path, operation, options);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** The same in a tenth of the time for a small file that the system has in memory; null for a larger one. */
function readAtOnce(path: string, operation: string, options: ReadOptions): Buffer | null {
  const begin = performance.now();
  const file = openSync(path, readFlags);
  try {
    const status = fstatSync(file);
    checkStatus(status, path, operation, options);
    return status.size > mostAtOnce ? null : readFileSync(file);
  } finally {
    closeSync(file);
    turns.took(performance.now() - begin);
  }
}

/**
 * Which files are read at once, and which by Node's threads: these where several in a row took long, as from other machines,
 * so that many can be waited for together; and one now and then, so that timers and signals get a turn.
 */
export class ReadingTurns {
  /** In milliseconds; a file in the system's memory takes a hundredth of it. */
  static readonly patienceMs = 0.5;
  /** Slow files in a row, since another program may just have had the processor. */
  static readonly mostSlow = 3;
  /** Files that are left to the threads then, before another is tried. */
  static readonly caution = 128;
  /** Files in a row that may be read at once. */
  static readonly inARow = 64;
  #row = 0;
  #slow = 0;
  #left = 0;

  /** Whether the next file may be read at once. */
  isAtOnce(): boolean {
    if (this.#left > 0) {
      this.#left -= 1;
      return false;
    }
    this.#row = (this.#row + 1) % (ReadingTurns.inARow + 1);
    return this.#row !== 0;
  }

  /** Notes how long a file took that was read at once. */
  took(ms: number): void {
    this.#slow = ms > ReadingTurns.patienceMs ? this.#slow + 1 : 0;
    if (this.#slow >= ReadingTurns.mostSlow) this.#left = ReadingTurns.caution;
  }
}

const turns = new ReadingTurns();

function checkStatus(status: Stats, path: string, operation: string, { maximumBytes }: ReadOptions): void {
  if (!status.isFile()) {
    throw new DataError('unreadable', {
      operation,
      expected: 'a file',
      received: status.isDirectory() ? 'a folder' : 'something that is not a regular file',
      remedy: 'Give the path of a file.',
      path,
    });
  }
  if (status.size > maximumBytes) {
    throw new DataError('tooLarge', {
      operation,
      expected: `at most ${maximumBytes} bytes`,
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
}
