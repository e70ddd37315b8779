/** Brings a run folder into the tables: its files when they have changed, its metrics from where they were read to before. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describeFileError, fileErrorCode } from '../errors.ts';
import { openRun, type RunReader } from '../reader.ts';
import { FILES, type JsonRecord } from '../schema.ts';
import { artifactEntries, checkpointEntries, folderStamp } from './folderFacts.ts';
import { MetricsTail, type MetricsBatch } from './metricsTail.ts';
import { readableInto } from './readable.ts';
import { recipeFacts } from './recipeFacts.ts';
import type { Sqlite } from './sqlite.ts';

/** What an ingestion found. */
export interface Ingestion {
  /** The run was not known before. */
  readonly isNew: boolean;
  /** Something was written. */
  readonly hasChanged: boolean;
  /** Metrics are left for another call. */
  readonly hasMore: boolean;
}

interface KnownRun {
  readonly key: number;
  readonly stamp: string;
}

interface Mark {
  readonly bytes: number;
  readonly digest: string;
}

/**
 * Takes a run folder in.
 * @param maximumBatches of metrics, each of some hundred lines
 * @throws RunError for a folder that is no readable run; errors of SQLite as they are
 */
export function ingestRun(database: Sqlite, folder: string, maximumBatches = Infinity): Ingestion {
  try {
    const run = openRun(folder);
    const { key, isNew, hasChanged } = ingestFiles(database, run);
    const metrics = ingestMetrics(database, key, join(run.path, FILES.metrics), maximumBatches);
    return { isNew, hasChanged: isNew || hasChanged || metrics.hasChanged, hasMore: metrics.hasMore };
  } catch (error) {
    if (fileErrorCode(error) === null) throw error;
    throw describeFileError(error, 'read the run', folder);
  }
}

/** Forgets the runs whose folders are not among these. @returns how many */
export function forgetOthers(database: Sqlite, folders: ReadonlySet<string>): number {
  const known = database.prepare<[], { key: number; folder: string }>('SELECT key, folder FROM runs').all();
  const gone = known.filter(({ folder }) => !folders.has(folder));
  const forget = database.prepare<[number]>('DELETE FROM runs WHERE key = ?');
  for (const { key } of gone) forget.run(key);
  return gone.length;
}

function ingestFiles(database: Sqlite, run: RunReader): { key: number; isNew: boolean; hasChanged: boolean } {
  const folder = basename(run.path);
  const find = database.prepare<[string], KnownRun>('SELECT key, stamp FROM runs WHERE folder = ?');
  // Before the files are read: one that changes meanwhile is read again by the next call.
  const stamp = folderStamp(run.path);
  const found = find.get(folder);
  if (found?.stamp === stamp) return { key: found.key, isNew: false, hasChanged: false };
  const row = { ...infoRow(run, folder), stamp };
  const columns = Object.keys(row);
  const upsert = database.prepare(
    `INSERT INTO runs (${columns.join(', ')}) VALUES (${columns.map((name) => `@${name}`).join(', ')})
     ON CONFLICT (folder) DO UPDATE SET ${columns.map((name) => `${name} = excluded.${name}`).join(', ')}`,
  );
  const key = database
    .transaction(() => {
      upsert.run(row);
      const { key } = find.get(folder) ?? { key: 0 };
      replaceLists(database, key, run.path);
      return key;
    })
    .immediate();
  return { key, isNew: found === undefined, hasChanged: true };
}

function infoRow(run: RunReader, folder: string): Record<string, string | number | null> {
  const problems: string[] = [];
  const readable = readableInto(problems);
  const { info } = run;
  const recipe = readable(() => run.recipe, '');
  const { networks, ...facts } = recipeFacts(recipe);
  const environment = readable<JsonRecord>(() => run.environment, {});
  const summary = readable(() => run.summary, null);
  return {
    folder,
    id: info.id,
    name: info.name,
    status: info.status,
    started_at: info.startedAt,
    ended_at: info.endedAt,
    command: info.command,
    failure: info.failure,
    ...facts,
    networks: JSON.stringify(networks),
    recipe,
    environment: JSON.stringify(environment),
    summary: summary === null ? null : JSON.stringify(summary),
    problem: problems[0] ?? null,
  };
}

function replaceLists(database: Sqlite, key: number, path: string): void {
  database.prepare<[number]>('DELETE FROM checkpoints WHERE run = ?').run(key);
  const addCheckpoint = database.prepare('INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)');
  for (const { name, epoch, step, bytes, modifiedAt } of checkpointEntries(path)) {
    addCheckpoint.run(key, name, epoch, step, bytes, modifiedAt);
  }
  database.prepare<[number]>('DELETE FROM artifacts WHERE run = ?').run(key);
  const addArtifact = database.prepare('INSERT INTO artifacts VALUES (?, ?, ?, ?)');
  for (const { path: file, bytes, modifiedAt } of artifactEntries(path)) {
    addArtifact.run(key, file, bytes, modifiedAt);
  }
}

function ingestMetrics(
  database: Sqlite,
  key: number,
  path: string,
  maximumBatches: number,
): { hasChanged: boolean; hasMore: boolean } {
  if (!existsSync(path)) {
    // The rest of the run is worth showing; metrics that come back are read from the start.
    database.prepare('DELETE FROM metrics WHERE run = ?').run(key);
    database.prepare('DELETE FROM ingested WHERE run = ?').run(key);
    database.prepare('UPDATE runs SET metrics_problem = ? WHERE key = ?').run(`${path} is missing`, key);
    return { hasChanged: false, hasMore: false };
  }
  const tail = new MetricsTail(path);
  try {
    let hasChanged = false;
    for (let batches = 0; batches < maximumBatches; batches += 1) {
      // Checked again in every transaction: another process may take the same run in at the same time.
      const step = database.transaction(() => ingestBatch(database, key, tail)).immediate();
      hasChanged ||= step.hasChanged;
      if (!step.hasMore) return { hasChanged, hasMore: false };
    }
    return { hasChanged, hasMore: true };
  } finally {
    tail.close();
  }
}

function ingestBatch(
  database: Sqlite,
  key: number,
  tail: MetricsTail,
): { hasChanged: boolean; hasMore: boolean } {
  const { start, wasCut } = cutBack(database, key, tail);
  const batch = tail.read(start);
  const hasRead = batch.end > start;
  if (hasRead) {
    insertRecords(database, key, batch);
    database.prepare('INSERT INTO ingested VALUES (?, ?, ?)').run(key, batch.end, batch.digest);
  }
  const last = batch.records.at(-1)?.record ?? (wasCut ? lastRecord(database, key) : null);
  if (last !== null) {
    database
      .prepare('UPDATE runs SET last_step = ?, last_epoch = ?, last_time_ms = ? WHERE key = ?')
      .run(last.step, last.epoch, last.timeMs, key);
  }
  return { hasChanged: hasRead || wasCut, hasMore: batch.hasMore };
}

/** Removes what a resumed run has taken back: everything after the last place where the file still is as it was. */
function cutBack(database: Sqlite, key: number, tail: MetricsTail): { start: number; wasCut: boolean } {
  const marks = database.prepare<[number], Mark>(
    'SELECT bytes, digest FROM ingested WHERE run = ? ORDER BY bytes DESC',
  );
  let wasCut = false;
  let start = 0;
  for (const { bytes, digest } of marks.iterate(key)) {
    if (tail.matches(bytes, digest)) {
      start = bytes;
      break;
    }
    wasCut = true;
  }
  if (wasCut) {
    database.prepare('DELETE FROM ingested WHERE run = ? AND bytes > ?').run(key, start);
    database.prepare('DELETE FROM metrics WHERE run = ? AND position >= ?').run(key, start);
    database.prepare('UPDATE runs SET metrics_problem = NULL WHERE key = ?').run(key);
  }
  return { start, wasCut };
}

/** How far the run has come by what is left after a cut; rare enough to look at every row. */
function lastRecord(database: Sqlite, key: number): { step: number; epoch: number; timeMs: number } {
  const last = database
    .prepare<[number], { step: number; epoch: number; timeMs: number }>(
      'SELECT step, epoch, time_ms AS timeMs FROM metrics WHERE run = ? ORDER BY position DESC LIMIT 1',
    )
    .get(key);
  return last ?? { step: 0, epoch: 0, timeMs: 0 };
}

function insertRecords(database: Sqlite, key: number, batch: MetricsBatch): void {
  const insert = database.prepare('INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  for (const { position, record } of batch.records) {
    const { kind, step, epoch, timeMs, values } = record;
    // SQLite takes NaN for null, which is what the column says.
    for (const [name, value] of Object.entries(values)) {
      insert.run(key, kind, name, position, step, epoch, timeMs, value);
    }
  }
  if (batch.problem !== null) {
    database.prepare('UPDATE runs SET metrics_problem = ? WHERE key = ?').run(batch.problem, key);
  }
}
