/** Reads and writes safetensors files: nothing is allocated for a file that is bad, no good file is lost to a failed write. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileErrorReason } from '@cohort-ml/errors';
import { checkHeader, readHeaderLength, type CheckedHeader } from './decode.ts';
import { encodeParts, type EncodedParts } from './encode.ts';
import { SafetensorsError } from './errors.ts';
import {
  headerLengthBytes,
  type SafetensorsDtype,
  type SafetensorsFile,
  type TensorBytes,
  type UnreadTensor,
} from './format.ts';

/** Node reads and writes fewer than 2^31 bytes at once. */
const largestTransfer = 2 ** 30;

/**
 * Reads a safetensors file.
 *
 * The header is checked against the size of the file before memory is taken for the data. Every tensor then gets
 * memory of its own, aligned for all its elements (`byteOffset` is 0), so one can be kept without the others.
 *
 * @param wanted when given, tensors of other element types are listed in `unread`, with types that are not known here,
 *   instead of being refused
 * @throws SafetensorsError, with the path, where the file is not valid or cannot be read.
 */
export function readSafetensorsFile(
  filePath: string,
  wanted?: (dtype: SafetensorsDtype) => boolean,
): SafetensorsFile & { readonly unread: Map<string, UnreadTensor> } {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for ever.
    const file = fs.openSync(filePath, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      return readOpenFile(file, wanted);
    } finally {
      fs.closeSync(file);
    }
  } catch (error) {
    if (error instanceof SafetensorsError) throw error.at(filePath);
    throw new SafetensorsError('read-failed', {
      action: 'read',
      expected: 'a file that can be read',
      received: fileErrorReason(error),
      remedy: 'Check that the path is right, that you may read the file and that it fits in memory.',
      path: filePath,
      cause: error,
    });
  }
}

function readOpenFile(
  file: number,
  wanted?: (dtype: SafetensorsDtype) => boolean,
): SafetensorsFile & { readonly unread: Map<string, UnreadTensor> } {
  const status = fs.fstatSync(file);
  if (!status.isFile()) throw new Error('something that is not a regular file');
  const start = readBytes(file, 0, Math.min(headerLengthBytes, status.size));
  const headerLength = readHeaderLength(start, status.size);
  const dataStart = headerLengthBytes + headerLength;
  const headerBytes = readBytes(file, headerLengthBytes, headerLength);
  const header: CheckedHeader = checkHeader(headerBytes, status.size - dataStart, wanted !== undefined);
  const tensors = new Map<string, TensorBytes>();
  const unread = new Map<string, UnreadTensor>();
  for (const { name, dtype, dtypeName, shape, begin, end } of header.entries) {
    if (dtype === null || wanted?.(dtype) === false) unread.set(name, { dtype: dtypeName, shape });
    else tensors.set(name, { dtype, shape, data: readBytes(file, dataStart + begin, end - begin) });
  }
  return { metadata: header.metadata, tensors, unread };
}

function readBytes(file: number, position: number, length: number): Uint8Array {
  // An ArrayBuffer of its own begins at a multiple of 8; a Buffer may lie anywhere in Node's shared pool.
  const bytes = new Uint8Array(new ArrayBuffer(length));
  let done = 0;
  while (done < length) {
    const wanted = Math.min(length - done, largestTransfer);
    const count = fs.readSync(file, bytes, done, wanted, position + done);
    if (count === 0)
      throw new Error(`the file ended at byte ${position + done}: it was shortened while being read`);
    done += count;
  }
  return bytes;
}

/**
 * Writes a safetensors file, replacing one that is there only once the new one is safely on the disk.
 *
 * The bytes go to a temporary file in the same folder, which is flushed and then renamed. On any failure the temporary
 * file is removed and the old file stands as it was. Order and padding are those of `encodeSafetensors`.
 *
 * @throws SafetensorsError, with the path, where the tensors are not valid or the file cannot be written.
 */
export function writeSafetensorsFile(
  filePath: string,
  tensors: Iterable<readonly [string, TensorBytes]>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const parts = partsFor(filePath, tensors, metadata);
  const temporaryPath = `${filePath}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    writeAndFlush(temporaryPath, parts);
    fs.renameSync(temporaryPath, filePath);
  } catch (error) {
    removeQuietly(temporaryPath);
    throw new SafetensorsError('write-failed', {
      action: 'write',
      expected: 'to write the file and put it in place',
      received: fileErrorReason(error),
      remedy:
        'What was there before is unchanged: make room, or choose a folder that exists and that you may write to.',
      path: filePath,
      cause: error,
    });
  }
  flushFolder(path.dirname(filePath));
}

function partsFor(
  filePath: string,
  tensors: Iterable<readonly [string, TensorBytes]>,
  metadata: Readonly<Record<string, string>>,
): EncodedParts {
  try {
    return encodeParts(tensors, metadata);
  } catch (error) {
    throw error instanceof SafetensorsError ? error.at(filePath) : error;
  }
}

function writeAndFlush(temporaryPath: string, { header, data }: EncodedParts): void {
  const file = fs.openSync(temporaryPath, 'wx');
  try {
    for (const part of [header, ...data]) writeBytes(file, part);
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

/** Removes what a failed write left. That it may fail as well must not hide why the write failed. */
function removeQuietly(temporaryPath: string): void {
  try {
    fs.rmSync(temporaryPath, { force: true });
  } catch {
    // Where not even this is possible, there was mostly no file to begin with.
  }
}

function writeBytes(file: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.byteLength) {
    done += fs.writeSync(file, bytes, done, Math.min(bytes.byteLength - done, largestTransfer));
  }
}

/** Makes the rename itself last through a power cut. The file is in place already, so a system that cannot is left alone. */
function flushFolder(folder: string): void {
  try {
    const handle = fs.openSync(folder, 'r');
    try {
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
  } catch {
    // Windows cannot open a folder, and some network file systems cannot flush one.
  }
}
