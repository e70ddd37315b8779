/** Reads the arguments of a pickle's opcodes, each length checked against the bytes that are there before anything is made. */
import { damagedPickle, PickleError } from './errors.ts';

/** Python's own integers in data files are no longer; parsing a hostile one of megabytes would take quadratic time. */
const longestIntegerBytes = 256;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A position in a pickle's bytes. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #source: string;
  /** Where the next byte is. */
  position: number;

  constructor(bytes: Uint8Array, start: number, source: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = start;
    this.#source = source;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The next `count` bytes, as a view. @throws {PickleError} `truncated` */
  take(count: number, what = 'the next opcode'): Buffer {
    const start = this.position;
    const left = this.#bytes.length - start;
    if (count > left) {
      throw new PickleError('truncated', {
        source: this.#source,
        expected: `${count} bytes of ${what} at byte ${start}`,
        received: `a pickle that ends after ${left}`,
        remedy: damagedPickle,
      });
    }
    this.position = start + count;
    return this.#bytes.subarray(start, this.position);
  }

  byte(): number {
    return this.take(1).readUInt8();
  }

  uint16(): number {
    return this.take(2, 'a number').readUInt16LE();
  }

  uint32(): number {
    return this.take(4, 'a number').readUInt32LE();
  }

  int32(): number {
    return this.take(4, 'a number').readInt32LE();
  }

  /** A length or index of 8 bytes; one past every file is refused as such. */
  uint64(): number {
    const value = this.take(8, 'a length').readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#tooLong(`a length of ${value}`);
    return Number(value);
  }

  float64(): number {
    return this.take(8, 'a number').readDoubleBE();
  }

  /** A two's-complement integer of `count` bytes, lowest first; no bytes are 0. */
  integer(count: number): number | bigint {
    if (count > longestIntegerBytes) throw this.#tooLong(`an integer of ${count} bytes`);
    const bytes = Buffer.from(this.take(count, 'an integer')).reverse();
    if (bytes.length === 0) return 0;
    return simplest(BigInt.asIntN(8 * count, BigInt(`0x${bytes.toString('hex')}`)));
  }

  /** Text in UTF-8 of `count` bytes. */
  text(count: number): string {
    const bytes = this.take(count, 'text');
    try {
      return utf8.decode(bytes);
    } catch (error) {
      throw this.#malformed('text in UTF-8', 'bytes that are none', error);
    }
  }

  /** Bytes that no one else refers to may stay a view; `bytes` of a pickle are never written to. */
  bytes(count: number): Uint8Array {
    const bytes = this.take(count, 'bytes');
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A line of Latin-1 without its end. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    if (end < 0) {
      this.take(this.#bytes.length - this.position + 1, 'a line');
    }
    const text = this.#bytes.toString('latin1', this.position, end);
    this.position = end + 1;
    return text;
  }

  /** A line that holds a whole number, as Python's `repr` writes it (`12`, `-3`, `12L`). */
  decimal(line = this.line()): number | bigint {
    const text = line.replace(/L$/, '');
    if (text.length > 2 * longestIntegerBytes) throw this.#tooLong(`an integer of ${text.length} digits`);
    if (!/^[+-]?\d+$/.test(text)) throw this.#malformed('a whole number', JSON.stringify(text.slice(0, 40)));
    return simplest(BigInt(text.replace(/^\+/, '')));
  }

  /** A line that holds a float, as Python's `repr` writes it (`1e-05`, `inf`). */
  floatLine(): number {
    const text = this.line();
    const special = { inf: Infinity, '-inf': -Infinity, nan: NaN }[text];
    if (special !== undefined) return special;
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) {
      throw this.#malformed('a number', JSON.stringify(text.slice(0, 40)));
    }
    return Number(text);
  }

  #malformed(expected: string, received: string, cause?: unknown): PickleError {
    const place = `${expected} before byte ${this.position}`;
    return new PickleError('format', {
      source: this.#source,
      expected: place,
      received,
      remedy: damagedPickle,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  #tooLong(received: string): PickleError {
    return new PickleError('limit', {
      source: this.#source,
      expected: `lengths that fit the ${this.#bytes.length} bytes of the pickle and integers of at most ${longestIntegerBytes} bytes`,
      received: `${received} at byte ${this.position}`,
      remedy: damagedPickle,
    });
  }
}

/** As a number where that is exact. */
function simplest(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
