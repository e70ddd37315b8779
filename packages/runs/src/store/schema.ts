/** The tables of `runs.sqlite` and how an older one is brought up to date; docs/run-format.md describes them for other readers. */
import { RunError } from '../errors.ts';
import type { Sqlite } from './sqlite.ts';

/** Name of the database in the folder that holds the runs. */
export const STORE_FILE = 'runs.sqlite';

/** "Cohr": marks the file as ours, so that no other program's database is ever written to or moved. */
export const APPLICATION_ID = 0x43_6f_68_72;

/** Each takes the schema from the version of its index to the next; one that has been released is never changed. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE runs (
    key INTEGER PRIMARY KEY,
    folder TEXT NOT NULL UNIQUE,  -- name in the folder that holds the runs
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    command TEXT NOT NULL,
    failure TEXT,
    method TEXT,                  -- the recipe's most asked for settings; null where it has none
    dataset TEXT,
    networks TEXT NOT NULL,       -- JSON: the models
    seed INTEGER,
    epochs INTEGER,
    recipe TEXT NOT NULL,         -- YAML, resolved
    environment TEXT NOT NULL,    -- JSON
    summary TEXT,                 -- JSON
    last_step INTEGER NOT NULL DEFAULT 0,
    last_epoch INTEGER NOT NULL DEFAULT 0,
    last_time_ms REAL NOT NULL DEFAULT 0,
    stamp TEXT NOT NULL,          -- tells whether the folder's files have changed
    problem TEXT,                 -- what could not be read of the folder
    metrics_problem TEXT          -- and of metrics.jsonl
  );
  CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    kind TEXT NOT NULL,           -- step or epoch
    name TEXT NOT NULL,
    position INTEGER NOT NULL,    -- first byte of the line in metrics.jsonl
    step INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    time_ms REAL NOT NULL,
    value REAL,                   -- null is NaN
    PRIMARY KEY (run, kind, name, position)
  ) WITHOUT ROWID;
  CREATE TABLE ingested (         -- up to where metrics.jsonl has been read, batch by batch
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    bytes INTEGER NOT NULL,
    digest TEXT NOT NULL,         -- of the bytes just before, which tells whether the file was rewritten
    PRIMARY KEY (run, bytes)
  ) WITHOUT ROWID;
  CREATE TABLE checkpoints (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    name TEXT NOT NULL,
    epoch INTEGER,
    step INTEGER,
    bytes INTEGER NOT NULL,
    modified_at TEXT NOT NULL,
    PRIMARY KEY (run, name)
  ) WITHOUT ROWID;
  CREATE TABLE artifacts (        -- files beyond the run format: exports, event files
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    modified_at TEXT NOT NULL,
    PRIMARY KEY (run, path)
  ) WITHOUT ROWID;
  `,
];

/**
 * Makes the tables or brings them up to date; several processes may try at once.
 * @throws RunError of kind `newer-version` or `store` for a database that is not to be touched
 */
export function migrate(database: Sqlite, path: string, migrations: readonly string[] = MIGRATIONS): void {
  if (checkedVersion(database, path, migrations.length) === migrations.length) return;
  database
    .transaction(() => {
      // Another process may have done it while this one waited.
      const version = checkedVersion(database, path, migrations.length);
      for (const migration of migrations.slice(version)) database.exec(migration);
      database.pragma(`application_id = ${APPLICATION_ID}`);
      database.pragma(`user_version = ${migrations.length}`);
    })
    .exclusive();
}

/** The version of the tables, 0 for an empty database, after making sure that it is one of ours. */
function checkedVersion(database: Sqlite, path: string, newest: number): number {
  const version = numberOf(database.pragma('user_version', { simple: true }));
  const applicationId = numberOf(database.pragma('application_id', { simple: true }));
  if (applicationId !== APPLICATION_ID) {
    const tables = database
      .prepare<[], { count: number }>('SELECT COUNT(*) AS count FROM sqlite_schema')
      .get();
    if (applicationId !== 0 || version !== 0 || (tables?.count ?? 0) > 0) {
      throw new RunError(
        'store',
        path,
        `cannot use ${path}: expected the database of runs, got one of another program`,
        { remedy: 'Move it away, or keep runs in another folder.' },
      );
    }
  }
  if (version > newest) {
    throw new RunError(
      'newer-version',
      path,
      `cannot use ${path}: it was made by a newer Cohort (version ${version} of the tables, this one knows ${newest})`,
      { remedy: 'Update Cohort, or delete the file, which is made again from the run folders.' },
    );
  }
  return version;
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number(value);
}
