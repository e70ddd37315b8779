/** Arrays of numbers in one small file, in the safetensors format: any language reads it, and it is replaced whole. No engine. */
import { readFileSync } from 'node:fs';
import { errorText } from '@cohort-ml/errors';
import { describeFileError, fileErrorCode, RunError } from '../errors.ts';
import { writeFileAtomic } from '../files.ts';
import { corrupt, isRecord, parseJsonRecord, type JsonRecord } from '../schema.ts';

/** An array with its shape; `F16` are the bits of half-precision numbers. */
export type StoredArray =
  | { readonly dtype: 'U8'; readonly shape: readonly number[]; readonly data: Uint8Array }
  | { readonly dtype: 'F16'; readonly shape: readonly number[]; readonly data: Uint16Array }
  | { readonly dtype: 'I32'; readonly shape: readonly number[]; readonly data: Int32Array }
  | { readonly dtype: 'U64'; readonly shape: readonly number[]; readonly data: BigUint64Array };

/** What a file holds besides its arrays. */
export interface ArrayFileHead {
  /** What the file is, for example `cohort.predictions`. */
  readonly format: string;
  /** Version of that format. */
  readonly version: number;
  /** Further facts, as JSON. */
  readonly info: JsonRecord;
}

const BYTES = { U8: 1, F16: 2, I32: 4, U64: 8 } as const;

/** Headers beyond this are damage. */
const LARGEST_HEADER = 64 * 1024 * 1024;

/** Writes the file, whole or not at all. @throws RunError that names the path and the remedy */
export function writeArrayFile(
  path: string,
  head: ArrayFileHead,
  arrays: Readonly<Record<string, StoredArray>>,
): void {
  // The widest first, so that each array begins at a multiple of its element's size.
  const entries = Object.entries(arrays).sort(([, a], [, b]) => BYTES[b.dtype] - BYTES[a.dtype]);
  const { format, version, info } = head;
  const header: Record<string, unknown> = {
    __metadata__: { format, version: String(version), info: JSON.stringify(info) },
  };
  let offset = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ');
  text.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const parts = entries.map(([, { data }]) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  writeFileAtomic(path, Buffer.concat([length, padded, ...parts]));
}

/** A file that was read. */
export class ArrayFile {
  /** Path of the file, for messages. */
  readonly path: string;
  readonly info: JsonRecord;
  readonly #arrays: ReadonlyMap<string, StoredArray>;

  constructor(path: string, info: JsonRecord, arrays: ReadonlyMap<string, StoredArray>) {
    this.path = path;
    this.info = info;
    this.#arrays = arrays;
  }

  /** Names of the arrays. */
  get names(): string[] {
    return [...this.#arrays.keys()];
  }

  /** An array of this type and shape; -1 stands for any size. @throws RunError of kind `corrupt` */
  array<DType extends StoredArray['dtype']>(
    name: string,
    dtype: DType,
    shape: readonly number[],
  ): Extract<StoredArray, { dtype: DType }> {
    const found = this.#arrays.get(name);
    const isRight =
      found?.dtype === dtype &&
      found.shape.length === shape.length &&
      shape.every((size, axis) => size === -1 || size === found.shape[axis]);
    if (!isRight) {
      const received = found === undefined ? 'none' : `${found.dtype} [${found.shape.join(', ')}]`;
      throw corrupt(this.path, `${name}: expected ${dtype} [${shape.join(', ')}], got ${received}`);
    }
    return found as Extract<StoredArray, { dtype: DType }>;
  }

  /** A list of strings of `info`. @throws RunError of kind `corrupt` */
  texts(key: string): string[] {
    const value = this.info[key];
    if (Array.isArray(value) && value.every((each): each is string => typeof each === 'string')) return value;
    throw corrupt(this.path, `${key}: expected a list of strings`);
  }

  /** A whole number from 0 of `info`. @throws RunError of kind `corrupt` */
  count(key: string): number {
    const value = this.info[key];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw corrupt(this.path, `${key}: expected a whole number of at least 0, got ${JSON.stringify(value)}`);
  }
}

/**
 * Reads a file of this format, of this version or an earlier one.
 * @returns null where there is no such file
 * @throws RunError of kind `newer-version`, `corrupt`, or as the file system says
 */
export function readArrayFile(path: string, format: string, version: number): ArrayFile | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return null;
    throw describeFileError(error, 'read a file of the run', path);
  }
  const { header, data } = splitFile(bytes, path);
  const metadata = isRecord(header.__metadata__) ? header.__metadata__ : {};
  const found = Number(metadata.version);
  if (metadata.format !== format || !Number.isInteger(found) || found < 1) {
    throw corrupt(path, `expected the format ${format}, got ${JSON.stringify(metadata.format ?? null)}`);
  }
  if (found > version) {
    throw new RunError(
      'newer-version',
      path,
      `cannot read ${path}: it was made by a newer Cohort (version ${found} of ${format}, this one reads up to ${version})`,
      { remedy: 'Update Cohort.' },
    );
  }
  const info = parseJsonRecord(typeof metadata.info === 'string' ? metadata.info : '', path);
  const arrays = new Map<string, StoredArray>();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== '__metadata__') arrays.set(name, readEntry(name, entry, data, path));
  }
  return new ArrayFile(path, info, arrays);
}

function splitFile(bytes: Buffer, path: string): { header: JsonRecord; data: Buffer } {
  const length = bytes.length < 8 ? NaN : Number(bytes.readBigUInt64LE(0));
  if (!(length <= Math.min(LARGEST_HEADER, bytes.length - 8))) {
    throw corrupt(path, `expected a header inside the file, got ${bytes.length} bytes`);
  }
  try {
    const text = bytes.subarray(8, 8 + length).toString('utf8');
    return { header: parseJsonRecord(text, path), data: bytes.subarray(8 + length) };
  } catch (error) {
    throw error instanceof RunError ? error : corrupt(path, errorText(error), { cause: error });
  }
}

function readEntry(name: string, entry: unknown, data: Buffer, path: string): StoredArray {
  const { dtype, shape, data_offsets: offsets } = isRecord(entry) ? entry : {};
  const isSize = (value: unknown): value is number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  const isSizes = (value: unknown): value is number[] => Array.isArray(value) && value.every(isSize);
  if (isDType(dtype) && isSizes(shape) && isSizes(offsets)) {
    const [begin = NaN, end = NaN] = offsets;
    const bytes = shape.reduce((product, size) => product * size, BYTES[dtype]);
    if (end - begin === bytes && end <= data.length) {
      // Copied: a view must begin at a multiple of its element's size.
      const { buffer } = Uint8Array.from(data.subarray(begin, end));
      if (dtype === 'U8') return { dtype, shape, data: new Uint8Array(buffer) };
      if (dtype === 'F16') return { dtype, shape, data: new Uint16Array(buffer) };
      if (dtype === 'I32') return { dtype, shape, data: new Int32Array(buffer) };
      return { dtype, shape, data: new BigUint64Array(buffer) };
    }
  }
  throw corrupt(path, `${name}: expected an array inside the file, got ${JSON.stringify(entry)}`);
}

function isDType(value: unknown): value is StoredArray['dtype'] {
  return typeof value === 'string' && Object.hasOwn(BYTES, value);
}
