/** SQLite as the store needs it: loaded only when a store is opened, and its many failures sorted by what can be done about them. */
import { createRequire } from 'node:module';
import { errorText } from '@cohort-ml/errors';
import type Database from 'better-sqlite3';

/** An open database. */
export type Sqlite = Database.Database;

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
  /** better-sqlite3 is not there or was compiled for another Node. */
  | 'unavailable';

/** Looked up when it is called, not when this file is imported: commands that need no store must not wait for it. */
const requireModule = createRequire(import.meta.url);

/**
 * Opens or makes a database; `:memory:` is one that goes when it is closed.
 * @param timeoutMs how long a statement waits for another process
 */
export function openSqlite(path: string, timeoutMs: number): Sqlite {
  const Constructor = requireModule('better-sqlite3') as typeof Database;
  return new Constructor(path, { timeout: timeoutMs });
}

/** Beginnings of SQLite's error codes; the longer codes only add where it happened. */
const CODES: readonly (readonly [beginning: string, failure: SqliteFailure])[] = [
  ['SQLITE_BUSY', 'locked'],
  ['SQLITE_LOCKED', 'locked'],
  ['SQLITE_PROTOCOL', 'locked'],
  ['SQLITE_CORRUPT', 'corrupt'],
  ['SQLITE_NOTADB', 'corrupt'],
  ['SQLITE_FORMAT', 'corrupt'],
  ['SQLITE_IOERR_SHORT_READ', 'corrupt'],
  // A table or column that the version promises is not there.
  ['SQLITE_ERROR', 'corrupt'],
  ['SQLITE_SCHEMA', 'corrupt'],
  ['SQLITE_CONSTRAINT', 'corrupt'],
  ['SQLITE_MISMATCH', 'corrupt'],
  ['SQLITE_READONLY', 'unwritable'],
  ['SQLITE_CANTOPEN', 'unwritable'],
  ['SQLITE_PERM', 'unwritable'],
  ['SQLITE_AUTH', 'unwritable'],
  ['SQLITE_FULL', 'full'],
  ['SQLITE_IOERR', 'io'],
  ['SQLITE_NOLFS', 'io'],
  ['ERR_DLOPEN_FAILED', 'unavailable'],
  ['MODULE_NOT_FOUND', 'unavailable'],
];

/** What went wrong; null for what is no failure of SQLite and so a bug of ours. */
export function sqliteFailure(error: unknown): SqliteFailure | null {
  if (!(error instanceof Error)) return null;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = CODES.find(([beginning]) => code.startsWith(beginning));
  if (known !== undefined) return known[1];
  const message = errorText(error);
  // better-sqlite3 finds this out by itself, and `bindings` lists all places where it looked.
  if (message.startsWith('Cannot open database because the directory')) return 'unwritable';
  if (message.startsWith('Could not locate the bindings file')) return 'unavailable';
  return null;
}
