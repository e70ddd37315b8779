/** Reads IDX files, the format of MNIST and its kin (big-endian magic, sizes, unsigned bytes), plain or gzip, trusting no header. */
import { constants, gunzip, gunzipSync } from 'node:zlib';
import { promisify } from 'node:util';
import { errorCode, errorText } from '@cohort-ml/errors';
import { DataError } from '../errors.ts';
import { readDataFile } from '../loading/readFile.ts';
import { LARGEST_FILE_IN_ONE_PIECE } from '../../support/limits.ts';

/** An IDX file's content: its sizes and its bytes in row-major order. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly values: Uint8Array;
}

/** What {@link readIdx} insists on. */
export interface IdxOptions {
  /** 3 for a stack of grey images, 4 for one with channels, 1 for labels. */
  dimensions: 1 | 3 | 4;
  /** A header that promises more is refused before anything of that size is allocated. */
  maximumBytes?: number;
  /** What to do when the file is missing. */
  remedyWhenMissing?: string;
}

const UNSIGNED_BYTE = 0x08;
const TYPE_NAMES: Readonly<Record<number, string>> = {
  0x08: 'unsigned byte',
  0x09: 'signed byte',
  0x0b: 'short',
  0x0c: 'int',
  0x0d: 'float',
  0x0e: 'double',
};
/** Enough of a gzip file to hold its own header and the 16 bytes of ours; deflates to at most about 4 MB. */
const GZIP_HEADER_BYTES = 4096;
const GZIP_LARGEST_RATIO = 1032;

const gunzipAsync = promisify(gunzip);

/**
 * Reads the IDX file of unsigned bytes at `path`; gzip is recognised by content, not by name.
 * @throws {@link DataError} naming the file: `missing`, `unreadable`, `empty`, `format` (magic, type or dimensions),
 *   `truncated`, `trailing`, `corrupt` (gzip) or `tooLarge`.
 */
export async function readIdx(path: string, options: IdxOptions): Promise<IdxArray> {
  const maximumBytes = options.maximumBytes ?? LARGEST_FILE_IN_ONE_PIECE;
  const stored = await readDataFile(path, {
    operation: 'reading IDX file',
    maximumBytes,
    remedyWhenMissing: options.remedyWhenMissing ?? 'Check the path.',
  });
  const compressed = stored.length >= 2 && stored[0] === 0x1f && stored[1] === 0x8b;
  const start = compressed ? inflateStart(stored, path) : stored;
  const shape = parseHeader(start, options.dimensions, path);
  const headerBytes = 4 + 4 * options.dimensions;
  const expectedBytes = headerBytes + shape.reduce((product, size) => product * size, 1);
  if (expectedBytes > maximumBytes) {
    throw new DataError('tooLarge', {
      operation: `reading IDX file ${path}`,
      expected: `at most ${maximumBytes} bytes`,
      received: `a header that promises ${expectedBytes} bytes (sizes ${shape.join(' x ')})`,
      remedy: 'The header is damaged or this is not the file you meant: fetch it again.',
      path,
    });
  }
  const content = compressed ? await inflate(stored, expectedBytes, path) : stored;
  if (content.length < expectedBytes) throw truncated(expectedBytes, content.length, path);
  if (content.length > expectedBytes) throw trailing(expectedBytes, `${content.length} bytes`, path);
  return {
    shape,
    values: new Uint8Array(content.buffer, content.byteOffset + headerBytes, expectedBytes - headerBytes),
  };
}

/** Sizes from the header, after its magic, type and number of dimensions were found right. */
function parseHeader(start: Buffer, dimensions: number, path: string): number[] {
  const operation = `reading IDX file ${path}`;
  if (start.length < 4) throw truncated(4 + 4 * dimensions, start.length, path);
  const magic = start.readUInt32BE(0);
  const type = start.readUInt8(2);
  const foundDimensions = start.readUInt8(3);
  if (start.readUInt16BE(0) !== 0) {
    throw new DataError('format', {
      operation,
      expected: `an IDX file (magic 0x${magicOf(dimensions)})`,
      received: `magic 0x${hex(magic, 8)}`,
      remedy: 'Give the IDX file itself, as downloaded (plain or .gz).',
      path,
    });
  }
  if (type !== UNSIGNED_BYTE) {
    throw new DataError('format', {
      operation,
      expected: `type code 0x08 (unsigned byte)`,
      received: `type code 0x${hex(type, 2)} (${TYPE_NAMES[type] ?? 'unknown'})`,
      remedy: 'Only IDX files of unsigned bytes hold images or labels: convert the file.',
      path,
    });
  }
  if (foundDimensions !== dimensions) {
    throw new DataError('format', {
      operation,
      expected: dimensions === 1 ? '1 dimension (labels)' : `${dimensions} dimensions (images)`,
      received: `${foundDimensions} (magic 0x${hex(magic, 8)})`,
      remedy: 'Images and labels may have been swapped: check the file names.',
      path,
    });
  }
  if (start.length < 4 + 4 * dimensions) throw truncated(4 + 4 * dimensions, start.length, path);
  return Array.from({ length: dimensions }, (_, index) => start.readUInt32BE(4 + 4 * index));
}

/** The first bytes of a gzip file's content, whatever is wrong later in it. */
function inflateStart(stored: Buffer, path: string): Buffer {
  try {
    return gunzipSync(stored.subarray(0, GZIP_HEADER_BYTES), {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: GZIP_HEADER_BYTES * (GZIP_LARGEST_RATIO + 1),
    });
  } catch (error) {
    throw corrupt(error, path);
  }
}

/** The whole content of a gzip file; zlib is never let past `expectedBytes`. */
async function inflate(stored: Buffer, expectedBytes: number, path: string): Promise<Buffer> {
  try {
    return await gunzipAsync(stored, { maxOutputLength: expectedBytes });
  } catch (error) {
    if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE') throw trailing(expectedBytes, 'more', path);
    // zlib says only "unexpected end of file": inflate again without that check to be able to say how much there was.
    if (errorCode(error) === 'Z_BUF_ERROR')
      throw truncated(expectedBytes, inflatedLength(stored, expectedBytes), path);
    throw corrupt(error, path);
  }
}

function inflatedLength(stored: Buffer, expectedBytes: number): number {
  return gunzipSync(stored, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: expectedBytes }).length;
}

function truncated(expectedBytes: number, receivedBytes: number, path: string): DataError {
  const cutInTrailer = receivedBytes === expectedBytes;
  return new DataError('truncated', {
    operation: `reading IDX file ${path}`,
    expected: `${expectedBytes} bytes${cutInTrailer ? ' and the gzip checksum' : ''}`,
    received: cutInTrailer ? 'a file that ends before the checksum' : `${receivedBytes}`,
    remedy: 'The file is truncated: fetch it again.',
    path,
  });
}

function trailing(expectedBytes: number, received: string, path: string): DataError {
  return new DataError('trailing', {
    operation: `reading IDX file ${path}`,
    expected: `exactly ${expectedBytes} bytes by its header`,
    received,
    remedy: 'The file has trailing bytes or a wrong header: fetch it again.',
    path,
  });
}

function corrupt(error: unknown, path: string): DataError {
  return new DataError('corrupt', {
    operation: `reading IDX file ${path}`,
    expected: 'intact gzip data',
    received: `zlib's "${errorText(error)}"`,
    remedy: 'The file is corrupt: fetch it again.',
    path,
    cause: error,
  });
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function magicOf(dimensions: number): string {
  return hex((UNSIGNED_BYTE << 8) | dimensions, 8);
}
