/** The end of a run's log, or the part before one that was read: a piece at a time, however long the file is. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { describeFileError, fileErrorCode } from '@cohort-ml/runs';
import type { LogTail } from '../api/types.ts';

const PIECE_BYTES = 64 * 1024;

/**
 * Whole lines before a position.
 * @param before position in bytes; null for the end of the file
 * @throws RunError where the log cannot be read
 */
export function readLogTail(folder: string, before: number | null): LogTail {
  const path = join(folder, 'log.txt');
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return { text: '', start: 0, end: 0 };
    throw describeFileError(error, 'read the log of the run', path);
  }
  try {
    const end = Math.min(before ?? Infinity, fstatSync(file).size);
    const begin = Math.max(0, end - PIECE_BYTES);
    const bytes = Buffer.alloc(end - begin);
    const length = readSync(file, bytes, 0, bytes.length, begin);
    const firstLine = begin === 0 ? 0 : bytes.indexOf(0x0a) + 1;
    return { text: bytes.toString('utf8', firstLine, length), start: begin + firstLine, end };
  } finally {
    closeSync(file);
  }
}
