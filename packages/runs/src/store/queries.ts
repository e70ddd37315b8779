/** What can be asked of the store: runs by filters, the series of a metric, first to best to last. */
import { join } from 'node:path';
import { RunError } from '../errors.ts';
import { isRunLive } from '../lock.ts';
import { isRecord, type JsonRecord, type RunStatus } from '../schema.ts';
import { mainScore, type ScoreName } from '../scores.ts';
import { bestOf, lastOf, meets, type MetricCondition } from './conditions.ts';
import type { ArtifactEntry, CheckpointEntry } from './folderFacts.ts';
import type { Sqlite } from './sqlite.ts';

/** Where a run stands: its status, but `stopped` where `running` was left behind by a process that is gone. */
export type RunState = RunStatus | 'stopped';

/** A run as lists show it. */
export interface RunEntry {
  /** Name of the folder now; it may have been renamed since the run began. */
  readonly folder: string;
  /** The folder, as an absolute path. */
  readonly path: string;
  readonly id: string;
  readonly name: string;
  readonly state: RunState;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly command: string;
  readonly failure: string | null;
  /** Null where the recipe does not say. */
  readonly method: string | null;
  readonly dataset: string | null;
  readonly networks: readonly string[];
  readonly seed: number | null;
  /** Epochs that were planned. */
  readonly epochs: number | null;
  /** How far it has come: steps and epochs done, and milliseconds since its start at the last record. */
  readonly lastStep: number;
  readonly lastEpoch: number;
  readonly lastTimeMs: number;
  /** What stands for a network: its accuracy, or `AP` and `meanIoU` for tasks other than classification. */
  readonly scoreName: ScoreName;
  /** Mean of the networks' last accuracies, or what takes their place, 0 to 1; null where not measured. */
  readonly validationAccuracy: number | null;
  readonly testAccuracy: number | null;
  /** What could not be read of the folder. */
  readonly problem: string | null;
}

/** All that the store knows of a run but its metrics. */
export interface RunDetails extends RunEntry {
  /** YAML, resolved. */
  readonly recipe: string;
  readonly environment: JsonRecord;
  readonly summary: JsonRecord | null;
  readonly checkpoints: readonly CheckpointEntry[];
  readonly artifacts: readonly ArtifactEntry[];
}

/** Which runs; what is left out does not restrict. */
export interface RunQuery {
  readonly states?: readonly RunState[];
  /** Name of the recipe; `*` stands for anything. */
  readonly name?: string;
  readonly method?: string;
  readonly dataset?: string;
  /** Started then or later. */
  readonly since?: Date;
  /** Of the best value over the epochs. */
  readonly best?: readonly MetricCondition[];
  /** Of the value at the last epoch. */
  readonly last?: readonly MetricCondition[];
  /** `started` (the default), `name`, `duration`, `epochs` or a metric, by its last value; the greatest first, names from A. */
  readonly sort?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/** A metric of a run over its whole length. */
export interface MetricSummary {
  readonly name: string;
  readonly kind: 'step' | 'epoch';
  readonly count: number;
  /** NaN counts for neither; null where all are NaN. */
  readonly minimum: number | null;
  readonly maximum: number | null;
  /** The newest value; it may be NaN. */
  readonly last: number;
  readonly lastStep: number;
  readonly lastEpoch: number;
}

/** One point of a series. */
export interface MetricPoint {
  readonly step: number;
  readonly epoch: number;
  readonly timeMs: number;
  /** It need not be finite. */
  readonly value: number;
  /** Place in `metrics.jsonl`; a series can be read on from it. */
  readonly position: number;
}

/** Which part of a series. */
export interface SeriesQuery {
  /** `epoch` unless given. */
  readonly kind?: 'step' | 'epoch';
  readonly fromStep?: number;
  readonly toStep?: number;
  /** Only points that were written after this one. */
  readonly afterPosition?: number;
}

interface RunRow {
  readonly key: number;
  readonly folder: string;
  readonly id: string;
  readonly name: string;
  readonly status: RunStatus;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly command: string;
  readonly failure: string | null;
  readonly method: string | null;
  readonly dataset: string | null;
  readonly networks: string;
  readonly seed: number | null;
  readonly epochs: number | null;
  readonly lastStep: number;
  readonly lastEpoch: number;
  readonly lastTimeMs: number;
  readonly problem: string | null;
}

const RUN_COLUMNS = `key, folder, id, name, status, started_at AS startedAt, ended_at AS endedAt, command, failure,
  method, dataset, networks, seed, epochs, last_step AS lastStep, last_epoch AS lastEpoch, last_time_ms AS lastTimeMs,
  COALESCE(problem, metrics_problem) AS problem`;

/** The runs that a query asks for. */
export function findRuns(database: Sqlite, root: string, query: RunQuery): RunEntry[] {
  const rows = database
    .prepare<[Record<string, string | null>], RunRow>(
      `SELECT ${RUN_COLUMNS} FROM runs WHERE (@name IS NULL OR name GLOB @name) AND (@method IS NULL OR method = @method)
         AND (@dataset IS NULL OR dataset = @dataset) AND (@since IS NULL OR started_at >= @since)
       ORDER BY started_at DESC, folder DESC`,
    )
    .all({
      // Only * is special: brackets and question marks are ordinary letters of names.
      name: query.name?.replaceAll(/[[?]/g, '[$&]') ?? null,
      method: query.method ?? null,
      dataset: query.dataset ?? null,
      since: query.since?.toISOString() ?? null,
    });
  const found = rows
    .filter(({ key }) => meetsAll(database, key, query))
    .map((row) => ({ row, entry: entryOf(database, root, row) }))
    .filter(({ entry }) => query.states?.includes(entry.state) ?? true);
  const { sort = 'started' } = query;
  if (sort !== 'started') {
    const keys = new Map(found.map(({ row, entry }) => [row.key, sortKey(database, row.key, entry, sort)]));
    found.sort((a, b) => compareKeys(keys.get(a.row.key) ?? null, keys.get(b.row.key) ?? null));
  }
  if (query.reverse === true) found.reverse();
  return found.slice(0, query.limit ?? Infinity).map(({ entry }) => entry);
}

function meetsAll(database: Sqlite, key: number, { best = [], last = [] }: RunQuery): boolean {
  return (
    best.every((condition) => meets(bestOf(database, key, condition), condition)) &&
    last.every((condition) => meets(lastOf(database, key, condition.metric), condition))
  );
}

function sortKey(database: Sqlite, key: number, entry: RunEntry, sort: string): string | number | null {
  if (sort === 'name') return entry.name;
  if (sort === 'epochs') return entry.lastEpoch;
  if (sort === 'duration') return entry.lastTimeMs;
  return lastOf(database, key, sort);
}

/** Text from A, numbers from the greatest, runs without a value at the end. */
export function compareKeys(a: string | number | null, b: string | number | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === 'number' && typeof b === 'number') return b - a;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

function entryOf(database: Sqlite, root: string, row: RunRow): RunEntry {
  const { key, status, networks, ...facts } = row;
  const path = join(root, row.folder);
  const models = parseStored(networks);
  return {
    ...facts,
    path,
    // Whether a process lives is never stored: it may die without a word.
    state: status === 'running' && !isRunLive(path) ? 'stopped' : status,
    networks: Array.isArray(models) ? models.map(String) : [],
    ...mainScore((metric) => lastOf(database, key, metric)),
  };
}

/** A run by its folder's name. @throws RunError of kind `missing` */
export function findRun(database: Sqlite, root: string, folder: string): RunDetails {
  const row = database
    .prepare<[string], RunRow & { recipe: string; environment: string; summary: string | null }>(
      `SELECT ${RUN_COLUMNS}, recipe, environment, summary FROM runs WHERE folder = ?`,
    )
    .get(folder);
  if (row === undefined) throw unknownRun(root, folder);
  const { recipe, environment, summary, ...entry } = row;
  return {
    ...entryOf(database, root, entry),
    recipe,
    environment: recordOf(environment),
    summary: summary === null ? null : recordOf(summary),
    checkpoints: database
      .prepare<[number], CheckpointEntry>(
        'SELECT name, epoch, step, bytes, modified_at AS modifiedAt FROM checkpoints WHERE run = ? ORDER BY name',
      )
      .all(row.key),
    artifacts: database
      .prepare<[number], ArtifactEntry>(
        'SELECT path, bytes, modified_at AS modifiedAt FROM artifacts WHERE run = ? ORDER BY path',
      )
      .all(row.key),
  };
}

/** Every metric of a run, those of epochs first. */
export function summariseMetrics(database: Sqlite, root: string, folder: string): MetricSummary[] {
  return database
    .prepare<[{ run: number }], Omit<MetricSummary, 'last'> & { last: number | null }>(
      `SELECT whole.name, whole.kind, count, minimum, maximum, value AS last, step AS lastStep, epoch AS lastEpoch
       FROM (SELECT kind, name, COUNT(*) AS count, MIN(value) AS minimum, MAX(value) AS maximum, MAX(position) AS newest
             FROM metrics WHERE run = @run GROUP BY kind, name) AS whole
       JOIN metrics AS point
         ON point.run = @run AND point.kind = whole.kind AND point.name = whole.name AND position = newest
       ORDER BY whole.kind, whole.name`,
    )
    .all({ run: keyOf(database, root, folder) })
    .map((row) => ({ ...row, last: row.last ?? Number.NaN }));
}

/** The values of one metric in the order they were written; none for a metric that the run does not have. */
export function findSeries(
  database: Sqlite,
  root: string,
  folder: string,
  name: string,
  query: SeriesQuery,
): MetricPoint[] {
  return database
    .prepare<[Record<string, string | number>], Omit<MetricPoint, 'value'> & { value: number | null }>(
      `SELECT step, epoch, time_ms AS timeMs, value, position FROM metrics
       WHERE run = @run AND kind = @kind AND name = @name AND position > @after AND step BETWEEN @from AND @to
       ORDER BY position`,
    )
    .all({
      run: keyOf(database, root, folder),
      kind: query.kind ?? 'epoch',
      name,
      after: query.afterPosition ?? -1,
      from: query.fromStep ?? 0,
      to: query.toStep ?? Number.MAX_SAFE_INTEGER,
    })
    .map((row) => ({ ...row, value: row.value ?? Number.NaN }));
}

function keyOf(database: Sqlite, root: string, folder: string): number {
  const row = database
    .prepare<[string], { key: number }>('SELECT key FROM runs WHERE folder = ?')
    .get(folder);
  if (row === undefined) throw unknownRun(root, folder);
  return row.key;
}

function unknownRun(root: string, folder: string): RunError {
  const path = join(root, folder);
  return new RunError('missing', path, `cannot find the run ${path}: the store has none of that folder`, {
    remedy: 'See cohort runs list.',
  });
}

function recordOf(text: string): JsonRecord {
  const value = parseStored(text);
  return isRecord(value) ? value : {};
}

/** Text that this package has written; anything else means a damaged page. */
function parseStored(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw Object.assign(new Error('a stored text is no JSON', { cause: error }), { code: 'SQLITE_CORRUPT' });
  }
}
