/** Reads safetensors from bytes in memory, checking the header as a whole before any tensor is handed out. */
import { damagedRemedy, quoted, SafetensorsError, type SafetensorsErrorKind } from './errors.ts';
import {
  describeTensor,
  headerLengthBytes,
  maximumHeaderBytes,
  tensorByteLength,
  type SafetensorsFile,
  type TensorBytes,
} from './format.ts';
import { parseHeader, type TensorEntry } from './header.ts';

/** A checked header: the tensors in the order of their data, which they cover without gap or overlap. */
export interface CheckedHeader {
  readonly metadata: Record<string, string>;
  readonly entries: readonly TensorEntry[];
}

/**
 * Reads a whole safetensors file from memory.
 *
 * The tensors' data are views of `bytes`, not copies: they stay valid, and keep `bytes` alive, for as long as they
 * are used. Where in memory they begin is up to the file, so check `byteOffset` before making a wider typed array on
 * one of them, or use `readSafetensorsFile`, which aligns them.
 *
 * @throws SafetensorsError where `bytes` are not a valid file; nothing is read from the data before that is known.
 */
export function decodeSafetensors(bytes: Uint8Array): SafetensorsFile {
  const headerLength = readHeaderLength(bytes, bytes.byteLength);
  const dataStart = headerLengthBytes + headerLength;
  const header = checkHeader(bytes.subarray(headerLengthBytes, dataStart), bytes.byteLength - dataStart);
  const tensors = new Map<string, TensorBytes>();
  for (const { name, dtype, shape, begin, end } of header.entries) {
    if (dtype === null) continue;
    tensors.set(name, { dtype, shape, data: bytes.subarray(dataStart + begin, dataStart + end) });
  }
  return { metadata: header.metadata, tensors };
}

/**
 * Reads the length of the header from the first bytes of a file and checks it against the size of the whole file.
 *
 * @param start The first {@link headerLengthBytes} bytes of the file, or all of a file shorter than that.
 */
export function readHeaderLength(start: Uint8Array, fileSize: number): number {
  if (start.byteLength < headerLengthBytes) {
    refuse('file-too-short', `at least ${headerLengthBytes} bytes`, `${start.byteLength}`);
  }
  const length = new DataView(start.buffer, start.byteOffset, headerLengthBytes).getBigUint64(0, true);
  if (length > maximumHeaderBytes) {
    refuse(
      'header-too-large',
      `a header of at most ${maximumHeaderBytes} bytes`,
      `a length of ${length.toString()}`,
    );
  }
  const available = fileSize - headerLengthBytes;
  if (length > available) {
    const found = `a header length of ${length.toString()}`;
    refuse('header-past-end', `a header that ends within the ${available} bytes after its length`, found);
  }
  return Number(length);
}

/**
 * Parses a header and checks that its tensors cover exactly `dataLength` bytes.
 * @param keepsUnknown as of `parseHeader`
 */
export function checkHeader(
  headerBytes: Uint8Array,
  dataLength: number,
  keepsUnknown = false,
): CheckedHeader {
  const { metadata, entries } = parseHeader(decodeText(headerBytes), keepsUnknown);
  for (const entry of entries) checkSize(entry, dataLength);
  entries.sort((first, second) => first.begin - second.begin || first.end - second.end);
  checkCover(entries, dataLength);
  return { metadata: withoutPrototype(metadata), entries };
}

function decodeText(headerBytes: Uint8Array): string {
  try {
    // A byte order mark stays in the text, where the parser refuses it like anything else before the "{".
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(headerBytes);
  } catch (cause) {
    return refuse('header-utf8', 'a header in UTF-8', 'bytes that are not UTF-8', cause);
  }
}

function checkSize({ name, dtype, dtypeName, shape, begin, end }: TensorEntry, dataLength: number): void {
  const described = describeTensor(name, dtypeName, shape);
  // Of an unknown type only the file's own word for its size can be had.
  const size = dtype === null ? end - begin : tensorByteLength(dtype, shape);
  if (size === undefined) {
    refuse('shape-overflow', 'a tensor of fewer than 2^53 bytes', described);
  }
  if (end > dataLength) {
    refuse(
      'offset-past-end',
      `${described} to end within the ${dataLength} bytes of data`,
      `its end at ${end}`,
    );
  }
  if (end - begin !== size) {
    refuse('size-mismatch', `${size} bytes for ${described}`, `${end - begin} bytes from ${begin} to ${end}`);
  }
}

function checkCover(entries: readonly TensorEntry[], dataLength: number): void {
  let covered = 0;
  let before = 'the header';
  for (const { name, begin, end } of entries) {
    const tensor = `tensor ${quoted(name)}`;
    const expected = `${tensor} to begin at ${covered}, where ${before} ends`;
    if (begin < covered) refuse('overlap', expected, `it beginning at ${begin}, so that they share bytes`);
    if (begin > covered) refuse('hole', expected, `${begin - covered} bytes of no tensor in between`);
    covered = end;
    before = tensor;
  }
  if (covered < dataLength) {
    refuse(
      'hole',
      `the file to end where ${before} ends`,
      `${dataLength - covered} bytes of no tensor after it`,
    );
  }
}

/** Metadata as an object in which only what the file holds is found: not `constructor`, not a set `__proto__`. */
function withoutPrototype(metadata: ReadonlyMap<string, string>): Record<string, string> {
  const record: Record<string, string> = Object.fromEntries(metadata);
  Object.setPrototypeOf(record, null);
  return record;
}

function refuse(kind: SafetensorsErrorKind, expected: string, received: string, cause?: unknown): never {
  throw new SafetensorsError(kind, { action: 'read', expected, received, remedy: damagedRemedy, cause });
}
