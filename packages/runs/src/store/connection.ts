/** The open database of a runs folder, through all that can befall it: it is made, brought up to date, and moved aside when it is damaged. */
import { existsSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CohortError, errorText } from '@cohort-ml/errors';
import { RunError } from '../errors.ts';
import { removeQuietly } from '../files.ts';
import { migrate, STORE_FILE } from './schema.ts';
import { openSqlite, sqliteFailure, type Sqlite, type SqliteFailure } from './sqlite.ts';

/** How a store is opened. */
export interface ConnectionOptions {
  /** How long a statement waits for another process, in milliseconds. */
  readonly timeoutMs: number;
  /** Told, in a sentence, when a damaged database was moved aside. */
  readonly onProblem: (text: string) => void;
}

/** The database could not be used; the run folders hold everything all the same. */
export class StoreUnavailableError extends CohortError {
  override readonly name = 'StoreUnavailableError';
  readonly failure: SqliteFailure;

  constructor(failure: SqliteFailure, path: string, options: ErrorOptions) {
    super(`${path} ${WORDS[failure](errorText(options.cause))}`, options);
    this.failure = failure;
  }
}

const WORDS: Readonly<Record<SqliteFailure, (reason: string) => string>> = {
  locked: () => 'is locked by another process',
  corrupt: (reason) => `is damaged (${reason})`,
  unwritable: (reason) => `cannot be written (${reason})`,
  full: () => 'cannot grow: its disk is full',
  io: (reason) => `cannot be used: its disk reports a fault (${reason})`,
  unavailable: (reason) =>
    `cannot be opened: SQLite does not load (${reason.split('\n')[0] ?? ''}); npm rebuild @photostructure/sqlite compiles it for this system`,
};

/** A database that can be replaced while it is in use. */
export class Connection {
  readonly path: string;
  readonly #options: ConnectionOptions;
  #database: Sqlite;

  /** @throws StoreUnavailableError, or RunError for a database that is not to be touched */
  constructor(root: string, options: ConnectionOptions) {
    this.path = join(root, STORE_FILE);
    this.#options = options;
    this.#database = this.#openSound();
  }

  /**
   * Runs an operation. If the database turns out to be damaged, it is moved aside, `refill` is called on a new one, and
   * the operation runs again.
   * @throws StoreUnavailableError for what SQLite cannot do; other errors as they are
   */
  use<T>(operation: (database: Sqlite) => T, refill: (database: Sqlite) => void): T {
    try {
      return operation(this.#database);
    } catch (error) {
      if (sqliteFailure(error) !== 'corrupt') throw unavailable(error, this.path);
      this.#database.close();
      this.#moveAside(error);
    }
    try {
      this.#database = this.#open();
      refill(this.#database);
      return operation(this.#database);
    } catch (error) {
      throw unavailable(error, this.path);
    }
  }

  close(): void {
    this.#database.close();
  }

  #openSound(): Sqlite {
    try {
      return this.#open();
    } catch (error) {
      if (sqliteFailure(error) !== 'corrupt') throw unavailable(error, this.path);
      this.#moveAside(error);
    }
    try {
      return this.#open();
    } catch (error) {
      throw unavailable(error, this.path);
    }
  }

  #open(): Sqlite {
    const database = openSqlite(this.path, this.#options.timeoutMs);
    try {
      migrate(database, this.path);
      // Readers and a writer at the same time; set once, and a write that others would have to make way for.
      if (database.pragma('journal_mode', { simple: true }) !== 'wal') database.pragma('journal_mode = WAL');
      // All of it can be made again from the folders, so the disk need not be waited for at each commit.
      database.pragma('synchronous = NORMAL');
      database.pragma('foreign_keys = ON');
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Keeps the damaged file, in case that somebody wants to look, under a name that nothing reads. */
  #moveAside(cause: unknown): void {
    const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
    let aside = `${this.path}.damaged-${stamp}`;
    for (let attempt = 2; existsSync(aside); attempt += 1) aside = `${this.path}.damaged-${stamp}-${attempt}`;
    try {
      if (statSync(this.path, { throwIfNoEntry: false }) !== undefined) renameSync(this.path, aside);
      // They belong to the damaged file and would be applied to the new one.
      for (const ending of ['-wal', '-shm']) removeQuietly(this.path + ending);
    } catch (error) {
      throw new StoreUnavailableError('unwritable', this.path, { cause: error });
    }
    this.#options.onProblem(
      `the database of runs was damaged (${errorText(cause)}); it is made again from the run folders, and the old one kept as ${aside}`,
    );
  }
}

/** A database in memory, for folders that cannot hold one. */
export function openInMemory(): Sqlite {
  const database = openSqlite(':memory:', 0);
  migrate(database, ':memory:');
  database.pragma('foreign_keys = ON');
  return database;
}

/** What SQLite threw, in words; what is not SQLite's comes back as it is. */
function unavailable(error: unknown, path: string): unknown {
  if (error instanceof RunError || error instanceof StoreUnavailableError) return error;
  const failure = sqliteFailure(error);
  return failure === null ? error : new StoreUnavailableError(failure, path, { cause: error });
}
