/** What the table shows of a run's measurements: last and best value of each metric over the epochs, read without its steps. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { decodeMetric, fileErrorCode, SCORE_NAMES, scoreMetrics, type MetricRecord } from '@cohort-ml/runs';
import type { Result } from '../api/types.ts';
import { jsonNumber } from '../json.ts';

const PIECE_BYTES = 1024 * 1024;
const EPOCH_LINE = Buffer.from('{"kind":"epoch"');
const NEWLINE = 0x0a;
const MOST_TREND_POINTS = 32;

interface Extremes {
  last: number;
  minimum: number;
  maximum: number;
}

/** Follows the epochs of one log. */
export class EpochDigest {
  readonly #path: string;
  readonly #metrics = new Map<string, Extremes>();
  #trend: number[] = [];
  #bytes = 0;
  #last: { epoch: number; step: number; timeMs: number } | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Epochs, steps and milliseconds done at the last record that was seen. */
  get last(): { readonly epoch: number; readonly step: number; readonly timeMs: number } | null {
    return this.#last;
  }

  /** Names of the metrics. */
  get names(): string[] {
    return [...this.#metrics.keys()];
  }

  /** Mean accuracy over the epochs, thinned. */
  get trend(): number[] {
    if (this.#trend.length <= MOST_TREND_POINTS) return this.#trend.map(rounded);
    const stride = (this.#trend.length - 1) / (MOST_TREND_POINTS - 1);
    return Array.from({ length: MOST_TREND_POINTS }, (_, index) =>
      rounded(this.#trend[Math.round(index * stride)] ?? 0),
    );
  }

  /** A metric, or the mean of the networks of a group (`accuracy`); undefined where the run has none. */
  result(name: string): Result | undefined {
    const found = this.#metrics.get(name);
    if (found === undefined) return undefined;
    const best = isBetterLow(name) ? found.minimum : found.maximum;
    return { last: jsonNumber(found.last), best: jsonNumber(Number.isFinite(best) ? best : NaN) };
  }

  /** Reads what was added. @returns whether anything has changed */
  refresh(): boolean {
    let file: number;
    try {
      file = openSync(this.#path, 'r');
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return false;
      throw error;
    }
    try {
      return this.#read(file);
    } finally {
      closeSync(file);
    }
  }

  #read(file: number): boolean {
    const { size } = fstatSync(file);
    // A resumed run cuts its log back.
    if (size < this.#bytes) this.#begin();
    if (size === this.#bytes) return false;
    let pending = Buffer.alloc(0);
    let position = this.#bytes;
    let lastWhole: Buffer | null = null;
    while (position < size) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size - position));
      const length = readSync(file, piece, 0, piece.length, position);
      if (length === 0) break;
      position += length;
      const bytes =
        pending.length === 0
          ? piece.subarray(0, length)
          : Buffer.concat([pending, piece.subarray(0, length)]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      if (end > 0) {
        this.#takeEpochs(bytes.subarray(0, end));
        lastWhole = lastLine(bytes, end);
      }
      pending = Buffer.from(bytes.subarray(end));
    }
    const before = this.#bytes;
    this.#bytes = position - pending.length;
    const record = lastWhole === null ? null : decodeMetric(lastWhole.toString('utf8'));
    if (record !== null && typeof record !== 'string') this.#note(record);
    return this.#bytes > before;
  }

  #takeEpochs(bytes: Buffer): void {
    for (let at = bytes.indexOf(EPOCH_LINE); at >= 0;) {
      const end = bytes.indexOf(NEWLINE, at);
      if (end < 0) return;
      if (at === 0 || bytes[at - 1] === NEWLINE) {
        const record = decodeMetric(bytes.toString('utf8', at, end));
        if (typeof record !== 'string') this.#take(record);
      }
      at = bytes.indexOf(EPOCH_LINE, end);
    }
  }

  #take(record: MetricRecord): void {
    this.#note(record);
    const groups = new Map<string, number[]>();
    for (const [name, value] of Object.entries(record.values)) {
      this.#update(name, value);
      const [group = '', network, more] = name.split('/');
      if (network === undefined || more !== undefined || network === 'ensemble') continue;
      const values = groups.get(group) ?? [];
      values.push(value);
      groups.set(group, values);
    }
    for (const [group, values] of groups) {
      this.#update(group, values.reduce((sum, value) => sum + value, 0) / values.length);
    }
    const shown = SCORE_NAMES.map((name) => scoreMetrics(name))
      .flatMap(({ test, validation }) => [groups.get(test), groups.get(validation)])
      .find((values) => values !== undefined);
    if (shown !== undefined) this.#trend.push(shown.reduce((sum, value) => sum + value, 0) / shown.length);
  }

  #update(name: string, value: number): void {
    const found = this.#metrics.get(name);
    if (found === undefined) {
      const [minimum, maximum] = Number.isFinite(value) ? [value, value] : [Infinity, -Infinity];
      this.#metrics.set(name, { last: value, minimum, maximum });
      return;
    }
    found.last = value;
    if (!Number.isFinite(value)) return;
    found.minimum = Math.min(found.minimum, value);
    found.maximum = Math.max(found.maximum, value);
  }

  #note({ epoch, step, timeMs }: MetricRecord): void {
    this.#last = { epoch, step, timeMs };
  }

  #begin(): void {
    this.#metrics.clear();
    this.#trend = [];
    this.#bytes = 0;
    this.#last = null;
  }
}

/** Names of losses: for all else, more is better. */
export function isBetterLow(name: string): boolean {
  return !/accuracy|rank|information|imagespersecond|agreement/i.test(name);
}

function lastLine(bytes: Buffer, end: number): Buffer {
  const begin = end < 2 ? 0 : bytes.lastIndexOf(NEWLINE, end - 2) + 1;
  return bytes.subarray(begin, end - 1);
}

function rounded(value: number): number {
  return Number.isFinite(value) ? Math.round(value * 1e4) / 1e4 : 0;
}
