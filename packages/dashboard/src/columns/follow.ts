/** Follows a run's `metrics.jsonl` into columns: reads what was added, and begins anew when a resumed run has cut the file back. */
import { statSync } from 'node:fs';
import { fileErrorCode, MetricsTail } from '@cohort-ml/runs';
import { readColumns, writeColumns, type LogMark } from './cacheFile.ts';
import { sampleLog } from './preview.ts';
import { RunTables } from './table.ts';

/** Read at a time; between two pieces other requests are answered. */
const PIECE_BYTES = 512 * 1024;
/** Shorter logs are read faster than a cache of them. */
const CACHED_FROM_BYTES = 8 * 1024 * 1024;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** False after a time, which keeps no process alive. */
function later(milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds, false).unref();
  });
}

/** The columns of one log. */
export class FollowedLog {
  readonly path: string;
  readonly #cachePath: string | null;
  #tables = new RunTables();
  #preview: RunTables | null = null;
  #mark: LogMark = { bytes: 0, digest: '' };
  #savedBytes = 0;
  #hasLookedForCache = false;
  #size = 0;
  #inode = 0;
  #catchingUp: Promise<void> | null = null;
  #revision = 0;
  #problem: string | null = null;

  /** @param cachePath where the columns of a long log are kept; null for nowhere */
  constructor(path: string, cachePath: string | null) {
    this.path = path;
    this.#cachePath = cachePath;
  }

  /** Grows whenever something was read. */
  get revision(): number {
    return this.#revision;
  }

  /** The first line that is no record. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Share of the log that has been read, 0 to 1. */
  get progress(): number {
    return this.#size === 0 ? 1 : Math.min(1, this.#mark.bytes / this.#size);
  }

  /** Roughly what the columns take in memory. */
  get bytes(): number {
    const cells = (table: RunTables['steps']): number =>
      table.length * 24 + [...table.columns.values()].reduce((sum, { length }) => sum + length * 12, 0);
    return cells(this.#tables.steps) + cells(this.#tables.epochs);
  }

  /** The columns, or a sample of a log that is still being read. */
  get tables(): { tables: RunTables; isPreview: boolean } {
    if (this.#preview !== null) return { tables: this.#preview, isPreview: true };
    return { tables: this.#tables, isPreview: false };
  }

  /**
   * Reads on until `patienceMs` are over; the rest is read in the background.
   * Errors of the file system come out as they are, but a file that is not there is an empty one.
   */
  async refresh(patienceMs: number): Promise<void> {
    if (!this.#hasGrown() && this.#catchingUp === null) return;
    this.#catchingUp ??= this.#catchUp().finally(() => {
      this.#catchingUp = null;
    });
    const working = this.#catchingUp.then(() => true);
    // A rejection later on must not end the process; the next call looks again.
    working.catch(() => undefined);
    const isDone = await Promise.race([working, later(patienceMs)]);
    if (!isDone && this.#preview === null) {
      this.#preview = sampleLog(this.path);
      this.#revision += 1;
    }
  }

  #hasGrown(): boolean {
    const stats = statSync(this.path, { throwIfNoEntry: false });
    const size = stats?.size ?? 0;
    const inode = stats?.ino ?? 0;
    const hasChanged = size !== this.#size || inode !== this.#inode || this.#mark.bytes < size;
    this.#size = size;
    this.#inode = inode;
    return hasChanged;
  }

  async #catchUp(): Promise<void> {
    let tail: MetricsTail;
    try {
      tail = new MetricsTail(this.path, PIECE_BYTES);
    } catch (error) {
      if (fileErrorCode(error) !== 'ENOENT') throw error;
      this.#begin();
      return;
    }
    try {
      await this.#loadCache(tail);
      if (this.#mark.bytes > 0 && !tail.matches(this.#mark.bytes, this.#mark.digest)) this.#begin();
      for (;;) {
        const batch = tail.read(this.#mark.bytes);
        for (const { record } of batch.records) this.#tables.push(record);
        this.#problem ??= batch.problem;
        if (batch.end > this.#mark.bytes) {
          this.#mark = { bytes: batch.end, digest: batch.digest };
          if (this.#preview === null) this.#revision += 1;
        }
        if (!batch.hasMore) break;
        await nextTurn();
      }
    } finally {
      tail.close();
    }
    if (this.#preview !== null) {
      this.#preview = null;
      this.#revision += 1;
    }
    await this.#saveCache();
  }

  #begin(): void {
    this.#tables = new RunTables();
    this.#mark = { bytes: 0, digest: '' };
    this.#savedBytes = 0;
    this.#problem = null;
    this.#revision += 1;
  }

  async #loadCache(tail: MetricsTail): Promise<void> {
    if (this.#hasLookedForCache || this.#cachePath === null || this.#size < CACHED_FROM_BYTES) return;
    this.#hasLookedForCache = true;
    const cached = await readColumns(this.#cachePath);
    if (cached === null || !tail.matches(cached.mark.bytes, cached.mark.digest)) return;
    this.#tables = cached.tables;
    this.#mark = cached.mark;
    this.#savedBytes = cached.mark.bytes;
    this.#revision += 1;
  }

  /** Again only when the log has become longer by a quarter: a live run must not write the disk full. */
  async #saveCache(): Promise<void> {
    const { bytes } = this.#mark;
    if (this.#cachePath === null || bytes < CACHED_FROM_BYTES || bytes < this.#savedBytes * 1.25) return;
    try {
      await writeColumns(this.#cachePath, this.#mark, this.#tables);
      this.#savedBytes = bytes;
    } catch {
      // A read-only or full disk: the log is read again next time.
      this.#savedBytes = Infinity;
    }
  }
}
