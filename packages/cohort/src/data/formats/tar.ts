/** Reads tar archives member by member as they stream past (ustar, GNU long names, pax), because datasets come in them and two headers are all they need. */
import { DataError } from '../errors.ts';

/** A file inside an archive. */
export interface ArchiveMember {
  /** Path inside the archive, made of plain names joined by `/`: never absolute, never with `..`. */
  readonly name: string;
  /** Bytes of the content. */
  readonly size: number;
  /** The content, to be read before the next member is asked for; what is left unread is skipped. */
  readonly content: AsyncIterable<Buffer>;
}

const BLOCK = 512;
/** Names and pax records are read into memory; longer ones are refused. */
const LARGEST_EXTENSION = 1024 * 1024;

/**
 * The regular files of a tar archive, in order. Links, folders and devices are passed over: no dataset needs them, and a
 * link is how an archive leads a write out of its folder.
 * @param path - the archive, for messages.
 * @throws {@link DataError} `truncated`, `corrupt` (a header's checksum), `format` (a name that leaves the folder).
 */
export async function* tarMembers(
  stream: AsyncIterable<Buffer>,
  path: string,
): AsyncGenerator<ArchiveMember, void, void> {
  const bytes = new ByteReader(stream, path);
  let longName: string | undefined;
  let longSize: number | undefined;
  for (
    let block = await bytes.read(BLOCK);
    block.some((byte) => byte !== 0);
    block = await bytes.read(BLOCK)
  ) {
    const header = parseHeader(block, path);
    const padding = (BLOCK - (header.size % BLOCK)) % BLOCK;
    if (header.type === 'L' || header.type === 'x') {
      if (header.size > LARGEST_EXTENSION) throw corrupt(path, `a name of ${header.size} bytes`);
      const content = await bytes.read(header.size);
      await bytes.skip(padding);
      if (header.type === 'L') longName = textOf(content);
      else ({ path: longName = longName, size: longSize = longSize } = paxRecords(content));
      continue;
    }
    const size = longSize ?? header.size;
    if (isRegularFile(header.type)) {
      const content = bytes.take(size);
      yield { name: safeMemberName(longName ?? header.name, path), size, content };
      await exhaust(content);
    } else {
      await bytes.skip(size);
    }
    await bytes.skip((BLOCK - (size % BLOCK)) % BLOCK);
    longName = undefined;
    longSize = undefined;
  }
  // To the end, so that gzip's checksum is looked at.
  await bytes.drain();
}

/**
 * A member's name as a path that stays in its folder.
 * @throws {@link DataError} `format` for names that are absolute, climb (`..`) or mean a drive.
 */
export function safeMemberName(name: string, path: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  const isSafe =
    parts.length > 0 && !name.startsWith('/') && !parts.includes('..') && !/[\\\0]|^[A-Za-z]:/.test(name);
  if (isSafe) return parts.join('/');
  throw new DataError('format', {
    operation: `reading archive ${path}`,
    expected: 'members whose names stay inside of the folder that the archive is unpacked into',
    received: `'${name.replaceAll('\0', '\\0')}'`,
    remedy: 'Do not use this archive: it was made to write elsewhere. Fetch it from its own site.',
    path,
  });
}

interface TarHeader {
  readonly name: string;
  readonly size: number;
  readonly type: string;
}

function parseHeader(block: Buffer, path: string): TarHeader {
  // The checksum is taken with its own eight bytes as spaces.
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (sum !== numberOf(block.subarray(148, 156))) throw corrupt(path, 'a header with a wrong checksum');
  const size = numberOf(block.subarray(124, 136));
  if (!Number.isSafeInteger(size) || size < 0) throw corrupt(path, 'a member without a size');
  const isUstar = block.toString('latin1', 257, 262) === 'ustar';
  // GNU's own format says "ustar  " and keeps times where ustar keeps the prefix.
  const isGnu = isUstar && block[263] === 0x20;
  const prefix = isUstar && !isGnu ? textOf(block.subarray(345, 500)) : '';
  const name = textOf(block.subarray(0, 100));
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    size,
    type: String.fromCharCode(block[156] ?? 0),
  };
}

function isRegularFile(type: string): boolean {
  return type === '0' || type === '\0' || type === '7';
}

/** Octal digits, or big-endian binary where the first bit is set (sizes from 8 GiB). NaN for anything else. */
function numberOf(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) !== 0) {
    return field.subarray(1).reduce((value, byte) => value * 256 + byte, (field[0] ?? 0) & 0x7f);
  }
  const digits = textOf(field).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : NaN;
}

/** Up to the first zero byte. */
function textOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? field.length : end);
}

/** The records `LENGTH KEY=VALUE\n` that this reader heeds. */
function paxRecords(content: Buffer): { path?: string; size?: number } {
  const records: { path?: string; size?: number } = {};
  for (let start = 0; start < content.length;) {
    const length = Number.parseInt(content.toString('latin1', start, start + 20), 10);
    if (!(length > 0)) break;
    const record = content.toString('utf8', start, start + length - 1);
    const match = /^\d+ ([^=]+)=([\s\S]*)$/.exec(record);
    if (match?.[1] === 'path') records.path = match[2] ?? '';
    if (match?.[1] === 'size') records.size = Number(match[2]);
    start += length;
  }
  return records;
}

function corrupt(path: string, received: string): DataError {
  return new DataError('corrupt', {
    operation: `reading archive ${path}`,
    expected: 'an intact tar archive',
    received,
    remedy: 'The file is corrupt or not a tar archive: fetch it again.',
    path,
  });
}

/** Reads to the end and keeps nothing. */
async function exhaust(content: AsyncIterable<Buffer>): Promise<void> {
  const iterator = content[Symbol.asyncIterator]();
  while ((await iterator.next()).done !== true);
}

/** Takes exact numbers of bytes off a stream of chunks. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #path: string;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>, path: string) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#path = path;
  }

  async read(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.take(count)) parts.push(part);
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  /** The next `count` bytes as they come; stopping early leaves the rest to whoever iterates on. */
  take(count: number): AsyncIterableIterator<Buffer> {
    let left = count;
    const next = async (): Promise<IteratorResult<Buffer>> => {
      if (left === 0) return { done: true, value: undefined };
      if (this.#rest.length === 0) this.#rest = await this.#nextChunk();
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      return { done: false, value: part };
    };
    return {
      next,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  async skip(count: number): Promise<void> {
    await exhaust(this.take(count));
  }

  async drain(): Promise<void> {
    await exhaust({ [Symbol.asyncIterator]: () => this.#chunks });
  }

  async #nextChunk(): Promise<Buffer> {
    for (;;) {
      const chunk = await this.#chunks.next();
      if (chunk.done === true) {
        throw new DataError('truncated', {
          operation: `reading archive ${this.#path}`,
          expected: 'more bytes by its headers',
          received: 'the end of the file',
          remedy: 'The archive is truncated: fetch it again.',
          path: this.#path,
        });
      }
      if (chunk.value.length > 0) return chunk.value;
    }
  }
}
