/** A file that is read in pieces, each checked against its size first, so that a large checkpoint is not held twice. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { fileErrorReason } from '@cohort-ml/errors';
import { damagedFile, WeightsError } from './errors.ts';

/** Node reads fewer than 2^31 bytes at once. */
const largestRead = 2 ** 30;

/** A regular file, open for reading. */
export class OpenFile {
  readonly path: string;
  readonly size: number;
  readonly #handle: number;

  /** @throws {WeightsError} `unreadable` */
  constructor(path: string) {
    this.path = path;
    try {
      // Without O_NONBLOCK, opening a named pipe would wait for ever.
      this.#handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw unreadable(path, fileErrorReason(error), error);
    }
    const status = fstatSync(this.#handle);
    this.size = status.size;
    if (status.isFile()) return;
    this.close();
    throw unreadable(path, status.isDirectory() ? 'a folder' : 'something that is not a regular file');
  }

  /** `length` bytes from `position`, in memory of their own. @throws {WeightsError} `damaged` or `unreadable` */
  read(position: number, length: number): Buffer<ArrayBuffer> {
    if (position < 0 || length < 0 || position + length > this.size) {
      throw new WeightsError('damaged', {
        operation: `reading ${this.path}`,
        expected: `bytes ${position} to ${position + length}`,
        received: `a file of ${this.size} bytes`,
        remedy: damagedFile,
      });
    }
    // An ArrayBuffer of its own begins at a multiple of 8, as typed arrays need it.
    const bytes = Buffer.from(new ArrayBuffer(length));
    let done = 0;
    while (done < length) {
      const count = this.#readSome(bytes, done, position + done);
      if (count === 0) throw unreadable(this.path, 'a file that became shorter while it was read');
      done += count;
    }
    return bytes;
  }

  #readSome(bytes: Buffer, start: number, position: number): number {
    try {
      return readSync(this.#handle, bytes, start, Math.min(bytes.length - start, largestRead), position);
    } catch (error) {
      throw unreadable(this.path, fileErrorReason(error), error);
    }
  }

  close(): void {
    closeSync(this.#handle);
  }
}

function unreadable(path: string, received: string, cause?: unknown): WeightsError {
  return new WeightsError('unreadable', {
    operation: `reading ${path}`,
    expected: 'a file of weights (safetensors, .pt, .pth, .pth.tar) that can be read',
    received,
    remedy: 'Check the path and its permissions.',
    ...(cause === undefined ? {} : { cause }),
  });
}
