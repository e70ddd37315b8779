/** Reads what was added to `metrics.jsonl` since a byte position, whole lines only, and notices when the file was rewritten before it. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { decodeMetric, type MetricRecord } from '../metrics.ts';

/** A record and the position of its line's first byte. */
export interface PlacedRecord {
  readonly position: number;
  readonly record: MetricRecord;
}

/** What one read brought. */
export interface MetricsBatch {
  readonly records: readonly PlacedRecord[];
  /** Where the next read begins. */
  readonly end: number;
  /** Of the bytes before `end`. */
  readonly digest: string;
  /** Whether whole lines may follow. */
  readonly hasMore: boolean;
  /** The first line that is no record; it is passed over. */
  readonly problem: string | null;
}

const BATCH_BYTES = 128 * 1024;
/** Several lines, each with its time: two different files do not agree in them. */
const DIGEST_BYTES = 2048;
const NEWLINE = 0x0a;

/** An open `metrics.jsonl`. Errors of the file system come out as they are. */
export class MetricsTail {
  readonly #file: number;
  readonly #batchBytes: number;

  constructor(path: string, batchBytes = BATCH_BYTES) {
    this.#file = openSync(path, 'r');
    this.#batchBytes = batchBytes;
  }

  /** Whether the file still is what it was when it had been read up to there. */
  matches(position: number, digest: string): boolean {
    return position <= this.#size() && this.#digestBefore(position) === digest;
  }

  /** The next whole lines; a last line without its newline is left for later. */
  read(start: number): MetricsBatch {
    const { bytes, hasMore } = this.#wholeLines(start);
    const records: PlacedRecord[] = [];
    let problem: string | null = null;
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, from)) {
      const record = decodeMetric(bytes.toString('utf8', from, end));
      if (typeof record === 'string') problem ??= `metrics.jsonl, byte ${start + from}: ${record}`;
      else records.push({ position: start + from, record });
      from = end + 1;
    }
    const end = start + from;
    return { records, end, digest: this.#digestBefore(end), hasMore, problem };
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Bytes from `start` up to and with the last newline of the batch; the batch grows until it holds one. */
  #wholeLines(start: number): { bytes: Buffer; hasMore: boolean } {
    for (let length = this.#batchBytes; ; length *= 2) {
      const bytes = this.#bytes(start, length);
      const end = bytes.lastIndexOf(NEWLINE);
      const isWholeRest = bytes.length < length;
      if (end !== -1 || isWholeRest) return { bytes: bytes.subarray(0, end + 1), hasMore: !isWholeRest };
    }
  }

  #digestBefore(position: number): string {
    const start = Math.max(0, position - DIGEST_BYTES);
    return createHash('sha256')
      .update(this.#bytes(start, position - start))
      .digest('base64')
      .slice(0, 22);
  }

  #bytes(start: number, length: number): Buffer {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.#size() - start)));
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(this.#file, bytes, filled, bytes.length - filled, start + filled);
      // The file was cut meanwhile.
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  }

  #size(): number {
    return fstatSync(this.#file).size;
  }
}
