/** SQLite as the store needs it: loaded only when a store is opened, and its many failures sorted by what can be done about them. */
import { createRequire } from 'node:module';
import { errorText } from '@cohort-ml/errors';

/** A prepared statement with its parameters and the columns of a row. */
export interface Statement<Parameters extends unknown[], Row> {
  run(...parameters: Parameters): unknown;
  get(...parameters: Parameters): Row | undefined;
  all(...parameters: Parameters): Row[];
  iterate(...parameters: Parameters): Iterable<Row>;
  /** Gives the first column of each row instead of the row. */
  pluck(): Statement<Parameters, unknown>;
}

/** An open database. */
export interface Sqlite {
  exec(sql: string): void;
  prepare<Parameters extends unknown[] = unknown[], Row = unknown>(sql: string): Statement<Parameters, Row>;
  pragma(source: string, options?: { readonly simple?: boolean }): unknown;
  /** Undone as a whole if the operation throws; `immediate` and `exclusive` take their locks at its beginning. */
  transaction<Result>(operation: () => Result): { immediate(): Result; exclusive(): Result };
  close(): void;
}

/** What a failure of SQLite means for the store. */
export type SqliteFailure =
  /** Another process is writing, or holds a lock. */
  | 'locked'
  /** The file is no database, or its pages contradict each other. */
  | 'corrupt'
  /** It may be read at most: rights, a read-only disk, a missing folder. */
  | 'unwritable'
  /** No space is left. */
  | 'full'
  /** The disk failed. */
  | 'io'
  /** There is no SQLite for this system. */
  | 'unavailable';

/** The part used here of @photostructure/sqlite, which is Node's own `node:sqlite` for Node 20 as well. */
interface SqliteModule {
  readonly DatabaseSync: new (path: string, options: { timeout: number }) => object;
  readonly enhance: (database: object) => Sqlite;
}

/** Looked up when it is called, not when this file is imported: commands that need no store must not wait for it. */
const requireModule = createRequire(import.meta.url);

/**
 * Opens or makes a database; `:memory:` is one that goes when it is closed.
 * @param timeoutMs how long a statement waits for another process
 */
export function openSqlite(path: string, timeoutMs: number): Sqlite {
  const { DatabaseSync, enhance } = requireModule('@photostructure/sqlite') as SqliteModule;
  return enhance(new DatabaseSync(path, { timeout: timeoutMs }));
}

/** SQLite's result codes (https://sqlite.org/rescode.html) without their extension, which says where it happened. */
const RESULT_CODES: readonly (readonly [failure: SqliteFailure, codes: readonly number[]])[] = [
  // BUSY, LOCKED, PROTOCOL
  ['locked', [5, 6, 15]],
  // CORRUPT, FORMAT and NOTADB; ERROR, SCHEMA, CONSTRAINT and MISMATCH: a table is not what the file's version promises.
  ['corrupt', [11, 24, 26, 1, 17, 19, 20]],
  // PERM, READONLY, CANTOPEN, AUTH
  ['unwritable', [3, 8, 14, 23]],
  // FULL
  ['full', [13]],
  // IOERR, NOLFS
  ['io', [10, 22]],
];

/** SQLITE_IOERR_SHORT_READ: the disk is well, the file too short. */
const SHORT_READ = 522;

/** What went wrong; null for what is no failure of SQLite and so a bug of ours. */
export function sqliteFailure(error: unknown): SqliteFailure | null {
  if (!(error instanceof Error)) return null;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (typeof errcode === 'number') {
    if (errcode === SHORT_READ) return 'corrupt';
    return RESULT_CODES.find(([, codes]) => codes.includes(errcode & 0xff))?.[0] ?? null;
  }
  if (code === 'ERR_DLOPEN_FAILED' || code === 'MODULE_NOT_FOUND') return 'unavailable';
  return errorText(error).startsWith('No native build was found') ? 'unavailable' : null;
}
