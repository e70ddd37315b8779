/**
 * Writes safetensors to bytes in memory: the same tensors always give the same bytes.
 *
 * Tensors are laid out as the reference library does it, by dtype from the most to the least strictly aligned and then
 * by name, and not in the order given. So every tensor begins at a multiple of its element size without padding, which
 * the format forbids, and readers can use the file in place; and two files can be compared byte by byte whatever
 * order their tensors were collected in, also with files of the reference library. Metadata are sorted by key.
 */
import { quoted, SafetensorsError, type SafetensorsErrorKind } from './errors.ts';
import {
  describeTensor,
  dtypeRank,
  headerLengthBytes,
  isSafetensorsDtype,
  isWellFormed,
  knownDtypes,
  maximumDimensions,
  maximumHeaderBytes,
  metadataName,
  tensorByteLength,
  type TensorBytes,
} from './format.ts';

/** A file about to be written: these parts, one after the other. */
export interface EncodedParts {
  /** The header with its length before it; as long as a multiple of 8 bytes, so that the data begin at one. */
  readonly header: Uint8Array;
  readonly data: readonly Uint8Array[];
}

/**
 * Writes tensors, and texts to go with them, as the bytes of one safetensors file.
 *
 * @throws SafetensorsError where a tensor's data do not fit its shape and dtype, or a name comes twice or is reserved.
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, TensorBytes]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { header, data } = encodeParts(tensors, metadata);
  const bytes = new Uint8Array(data.reduce((total, part) => total + part.byteLength, header.byteLength));
  let position = 0;
  for (const part of [header, ...data]) {
    bytes.set(part, position);
    position += part.byteLength;
  }
  return bytes;
}

/** Checks and orders the tensors and writes their header, leaving the data where they are. */
export function encodeParts(
  tensors: Iterable<readonly [string, TensorBytes]>,
  metadata: Readonly<Record<string, string>> = {},
): EncodedParts {
  const ordered = inFileOrder(tensors);
  const members: string[] = [];
  const texts = Object.entries(metadata).sort(([first], [second]) => compareAsUtf8(first, second));
  if (texts.length > 0) {
    const pairs = texts.map(([key, text]) => metadataMember(key, text));
    members.push(`${JSON.stringify(metadataName)}:{${pairs.join(',')}}`);
  }
  let end = 0;
  for (const [name, { dtype, shape, data }] of ordered) {
    const begin = end;
    end += data.byteLength;
    const entry = JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
    members.push(`${JSON.stringify(name)}:${entry}`);
  }
  return { header: headerBytes(`{${members.join(',')}}`), data: ordered.map(([, tensor]) => tensor.data) };
}

function inFileOrder(tensors: Iterable<readonly [string, TensorBytes]>): (readonly [string, TensorBytes])[] {
  const byName = new Map<string, TensorBytes>();
  for (const [name, tensor] of tensors) {
    if (byName.has(name)) {
      refuse('duplicate-name', 'every name once', `${quoted(name)} twice`, 'Rename one of the tensors.');
    }
    checkName(name);
    checkTensor(name, tensor);
    byName.set(name, tensor);
  }
  return [...byName].sort(
    ([firstName, first], [secondName, second]) =>
      dtypeRank(second.dtype) - dtypeRank(first.dtype) || compareAsUtf8(firstName, secondName),
  );
}

function checkName(name: string): void {
  const rename = 'Rename the tensor.';
  if (name === metadataName) {
    refuse('name', `a tensor's name other than the reserved ${quoted(metadataName)}`, 'that name', rename);
  }
  if (!isWellFormed(name)) refuse('name', `a tensor's name that is valid Unicode`, quoted(name), rename);
}

function checkTensor(name: string, { dtype, shape, data }: TensorBytes): void {
  const tensor = `tensor ${quoted(name)}`;
  // The type says so already, but what comes from plain JavaScript must not become a file that nobody can read.
  if (!isSafetensorsDtype(dtype)) {
    const rule = `one of ${knownDtypes} as dtype of ${tensor}`;
    refuse('dtype', rule, quoted(String(dtype)), 'Convert the tensor to one of these.');
  }
  if (shape.length > maximumDimensions || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    const rule = `at most ${maximumDimensions} non-negative whole numbers, each below 2^53, as shape of ${tensor}`;
    refuse('shape', rule, quoted(`[${shape.join(', ')}]`), 'Give the shape that the data have.');
  }
  const described = describeTensor(name, dtype, shape);
  const size = tensorByteLength(dtype, shape);
  if (size === undefined) {
    refuse(
      'shape-overflow',
      'a tensor of fewer than 2^53 bytes',
      described,
      'Give the shape that the data have.',
    );
  }
  if (data.byteLength !== size) {
    const remedy = 'Give all elements of the tensor, contiguous and in row-major order.';
    refuse('size-mismatch', `${size} bytes for ${described}`, `${data.byteLength} bytes`, remedy);
  }
}

function metadataMember(key: string, text: unknown): string {
  if (typeof text !== 'string') {
    const remedy = 'Turn the value into text, for example with JSON.stringify.';
    return refuse(
      'metadata',
      `a string as metadata ${quoted(key)}`,
      `a value of type ${typeof text}`,
      remedy,
    );
  }
  if (!isWellFormed(key) || !isWellFormed(text)) {
    const remedy = 'Remove the halves of surrogate pairs that stand alone.';
    refuse('metadata', `valid Unicode as metadata ${quoted(key)}`, quoted(text), remedy);
  }
  return `${JSON.stringify(key)}:${JSON.stringify(text)}`;
}

function headerBytes(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.byteLength / headerLengthBytes) * headerLengthBytes;
  if (length > maximumHeaderBytes) {
    const remedy = 'Save fewer tensors in one file, or keep long metadata elsewhere.';
    refuse('header-too-large', `a header of at most ${maximumHeaderBytes} bytes`, `${length} bytes`, remedy);
  }
  const bytes = new Uint8Array(headerLengthBytes + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, headerLengthBytes);
  return bytes;
}

/** Orders texts by their UTF-8 bytes, as the reference library does; `<` would compare UTF-16 units. */
function compareAsUtf8(first: string, second: string): number {
  return Buffer.compare(Buffer.from(first), Buffer.from(second));
}

function refuse(kind: SafetensorsErrorKind, expected: string, received: string, remedy: string): never {
  throw new SafetensorsError(kind, { action: 'write', expected, received, remedy });
}
