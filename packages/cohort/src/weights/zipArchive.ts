/**
 * Reads zip archives of stored entries, the kind that `torch.save` writes, by hand: a general unzip library would inflate,
 * follow overlapping entries and trust sizes, which is how zip bombs work. Nothing is inflated, and what PyTorch would not write is refused.
 */
import { crc32 } from './crc32.ts';
import { damagedFile, WeightsError, type WeightsErrorKind } from './errors.ts';
import type { OpenFile } from './openFile.ts';

/** Where a stored entry lies. */
interface ZipEntry {
  readonly name: string;
  readonly size: number;
  /** Bytes in the file; others than `size` where it is compressed. */
  readonly storedSize: number;
  /** What keeps it from being read as it is; null for stored entries. */
  readonly coding: 'compressed' | 'encrypted' | null;
  readonly crc: number;
  /** Of its local header. */
  readonly offset: number;
}

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;
const endBytes = 22;
const locatorBytes = 20;
const localBytes = 30;
const entryBytes = 46;
const longestComment = 0xffff;
/** Room for half a million tensors; a larger directory is no checkpoint. */
const largestDirectory = 64 * 2 ** 20;
const unset32 = 0xffffffff;

/** The entries of a zip file, all of them checked before any is read. */
export class ZipArchive {
  readonly #file: OpenFile;
  readonly #entries = new Map<string, ZipEntry>();

  /** @throws {WeightsError} `damaged` or `unsupported` */
  constructor(file: OpenFile) {
    this.#file = file;
    const { count, offset, size } = this.#findDirectory();
    if (size > largestDirectory || offset + size > file.size) {
      throw this.#error('damaged', 'a directory inside of the file', `${size} bytes at ${offset}`);
    }
    this.#readDirectory(file.read(offset, size), count);
    this.#checkOverlaps(offset);
  }

  /** Names of the entries, in the directory's order. */
  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Bytes of an entry, or undefined where there is none of this name. */
  sizeOf(name: string): number | undefined {
    return this.#entries.get(name)?.size;
  }

  /** The content of an entry, in memory of its own. @throws {WeightsError} `damaged` when it is missing or its checksum is wrong */
  read(name: string): Buffer<ArrayBuffer> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw this.#error('damaged', `an entry ${name}`, 'none');
    if (entry.coding !== null) {
      throw this.#error(
        'unsupported',
        'entries that are stored as they are, as torch.save writes them',
        `${name}, which is ${entry.coding}`,
        'If this is an archive around a checkpoint, unpack it and give the file inside.',
      );
    }
    const header = this.#file.read(entry.offset, localBytes);
    const nameBytes = header.readUInt16LE(26);
    const start = entry.offset + localBytes + nameBytes + header.readUInt16LE(28);
    const localName = this.#file.read(entry.offset + localBytes, nameBytes).toString('utf8');
    if (header.readUInt32LE(0) !== localSignature || localName !== name) {
      throw this.#error('damaged', `the entry ${name} at byte ${entry.offset}`, 'something else');
    }
    const content = this.#file.read(start, entry.size);
    const found = crc32(content);
    if (found === entry.crc) return content;
    throw this.#error(
      'damaged',
      `checksum ${hex(entry.crc)} for ${name}`,
      hex(found),
      `${damagedFile} (Files saved with torch.serialization.set_crc32_options(False) have no checksums: save those again without it.)`,
    );
  }

  #error(kind: WeightsErrorKind, expected: string, received: string, remedy = damagedFile): WeightsError {
    return new WeightsError(kind, { operation: `reading ${this.#file.path}`, expected, received, remedy });
  }

  #findDirectory(): { count: number; offset: number; size: number } {
    const { size } = this.#file;
    const tailBytes = Math.min(size, endBytes + longestComment);
    const tail = this.#file.read(size - tailBytes, tailBytes);
    for (let at = tailBytes - endBytes; at >= 0; at -= 1) {
      const isEnd = tail.readUInt32LE(at) === endSignature;
      // The comment must fill the rest exactly: the signature may also occur inside data.
      if (!isEnd || at + endBytes + tail.readUInt16LE(at + 20) !== tailBytes) continue;
      const end = tail.subarray(at, at + endBytes);
      if (end.readUInt16LE(4) !== 0 && end.readUInt16LE(4) !== 0xffff) {
        throw this.#error('unsupported', 'an archive in one file', 'a part of several', 'Join them first.');
      }
      return (
        this.#findDirectory64(size - tailBytes + at) ?? {
          count: end.readUInt16LE(10),
          size: end.readUInt32LE(12),
          offset: end.readUInt32LE(16),
        }
      );
    }
    throw this.#error('damaged', 'the directory of a zip archive at the end of the file', 'none');
  }

  /** The 64-bit form of the end record; PyTorch writes it always. */
  #findDirectory64(end: number): { count: number; offset: number; size: number } | undefined {
    if (end < locatorBytes) return undefined;
    const locator = this.#file.read(end - locatorBytes, locatorBytes);
    if (locator.readUInt32LE(0) !== locator64Signature) return undefined;
    const record = this.#file.read(this.#number(locator, 8), 56);
    if (record.readUInt32LE(0) !== end64Signature) {
      throw this.#error('damaged', 'a zip64 end record', 'something else');
    }
    return {
      count: this.#number(record, 32),
      size: this.#number(record, 40),
      offset: this.#number(record, 48),
    };
  }

  #number(bytes: Buffer, at: number): number {
    const value = bytes.readBigUInt64LE(at);
    if (value > BigInt(this.#file.size)) {
      throw this.#error('damaged', `sizes and offsets of at most ${this.#file.size} bytes`, `${value}`);
    }
    return Number(value);
  }

  #readDirectory(directory: Buffer, count: number): void {
    let at = 0;
    while (at + entryBytes <= directory.length && directory.readUInt32LE(at) === entrySignature) {
      const nameBytes = directory.readUInt16LE(at + 28);
      const extraBytes = directory.readUInt16LE(at + 30);
      const nameEnd = at + entryBytes + nameBytes;
      const next = nameEnd + extraBytes + directory.readUInt16LE(at + 32);
      if (next > directory.length) break;
      const name = directory.toString('utf8', at + entryBytes, nameEnd);
      const entry = this.#parseEntry(name, directory.subarray(at, next), nameEnd - at, extraBytes);
      if (this.#entries.has(name)) throw this.#error('damaged', 'every entry once', `${name} twice`);
      this.#entries.set(name, entry);
      at = next;
    }
    if (this.#entries.size !== count) {
      throw this.#error('damaged', `${count} entries in the directory`, `${this.#entries.size}`);
    }
  }

  #parseEntry(name: string, header: Buffer, extraStart: number, extraBytes: number): ZipEntry {
    const isEncrypted = (header.readUInt16LE(8) & 1) !== 0;
    const coding = isEncrypted ? 'encrypted' : header.readUInt16LE(10) === 0 ? null : 'compressed';
    const sizes = [header.readUInt32LE(24), header.readUInt32LE(20), header.readUInt32LE(42)];
    const extra = header.subarray(extraStart, extraStart + extraBytes);
    const [size = 0, storedSize = 0, offset = 0] = this.#widen(sizes, extra);
    if (coding === null && size !== storedSize) {
      throw this.#error('damaged', `${name} stored in its ${size} bytes`, `${storedSize}`);
    }
    return { name, size, storedSize, coding, crc: header.readUInt32LE(16), offset };
  }

  /** Numbers that did not fit in 32 bits stand in the zip64 extra field, in order. */
  #widen(numbers: readonly number[], extra: Buffer): number[] {
    let fields: Buffer = Buffer.alloc(0);
    for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
      if (extra.readUInt16LE(at) === 1) fields = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
    }
    let used = 0;
    return numbers.map((number) => {
      if (number !== unset32) return number;
      if (used + 8 > fields.length) throw this.#error('damaged', 'a 64-bit size or offset', 'none');
      used += 8;
      return this.#number(fields, used - 8);
    });
  }

  /** Entries that share bytes could stand for far more than the file holds. */
  #checkOverlaps(directoryOffset: number): void {
    const ordered = [...this.#entries.values()].sort((left, right) => left.offset - right.offset);
    for (const [index, { name, offset, storedSize: size }] of ordered.entries()) {
      const limit = ordered[index + 1]?.offset ?? directoryOffset;
      if (offset + localBytes + Buffer.byteLength(name) + size <= limit) continue;
      throw this.#error('damaged', `${name} to end before byte ${limit}`, `${size} bytes from ${offset}`);
    }
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
