/** The run store: an index of a folder of runs in SQLite, made from the run folders, which stay the truth, and always possible to make again. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import { describeFileError, fileErrorCode, RunError } from '../errors.ts';
import { FILES } from '../schema.ts';
import { hasMetric } from './conditions.ts';
import { Connection, openInMemory, StoreUnavailableError } from './connection.ts';
import { forgetOthers, ingestRun, type Ingestion } from './ingest.ts';
import {
  findRun,
  findRuns,
  findSeries,
  summariseMetrics,
  type MetricPoint,
  type MetricSummary,
  type RunDetails,
  type RunEntry,
  type RunQuery,
  type SeriesQuery,
} from './queries.ts';
import { STORE_FILE } from './schema.ts';
import { sqliteFailure, type Sqlite } from './sqlite.ts';

/** How to open a store. */
export interface StoreOptions {
  /** How long to wait for another process that writes; 5,000 ms unless given. */
  readonly timeoutMs?: number;
  /** Called with a sentence about what is wrong with the database; the store works without it. */
  readonly onProblem?: (text: string) => void;
}

/** What a look at the folders brought. */
export interface SyncReport {
  readonly added: number;
  readonly updated: number;
  /** Runs whose folders are gone. */
  readonly removed: number;
  /** One error for each folder that is a run and cannot be read. */
  readonly unreadable: readonly RunError[];
}

/** Runs an operation on the database, whatever that takes. */
type Use = <T>(operation: (database: Sqlite) => T) => T;

/**
 * Opens the store of a folder of runs. Where the database cannot be written (rights, a lock, a full disk) or where there
 * is nothing to keep one for, it is made in memory from the folders, which only takes longer.
 * @param root folder that holds the runs; it need not exist
 * @throws RunError of kind `newer-version`, or `store` if another program's database lies there
 */
export function openStore(root: string, options: StoreOptions = {}): RunStore {
  const folder = resolve(root);
  const { timeoutMs = 5000, onProblem = (): void => undefined } = options;
  let memory: Sqlite | null = null;
  const inMemory = (): Sqlite => {
    memory ??= openInMemory();
    return memory;
  };
  try {
    // A folder that holds no runs must not be littered.
    if (!existsSync(join(folder, STORE_FILE)) && runFolders(folder).length === 0) {
      const database = inMemory();
      return new RunStore(
        folder,
        null,
        (operation) => operation(database),
        () => {
          database.close();
        },
      );
    }
    return openWithFallback(folder, { timeoutMs, onProblem }, inMemory);
  } catch (error) {
    if (sqliteFailure(error) !== 'unavailable' && !isUnavailable(error)) throw error;
    throw new RunError('store', folder, `cannot open the database of runs: ${errorText(error)}`, {
      cause: error,
    });
  }
}

function openWithFallback(folder: string, options: Required<StoreOptions>, inMemory: () => Sqlite): RunStore {
  let file: FileDatabase | null = null;
  let memory: Sqlite | null = null;
  const fallBack = (error: unknown): Sqlite => {
    if (!(error instanceof StoreUnavailableError) || isUnavailable(error)) throw error;
    options.onProblem(`${error.message}; reading the run folders instead`);
    memory = inMemory();
    syncFolders(memory, folder);
    return memory;
  };
  try {
    file = openFile(folder, options, (database) => {
      syncFolders(database, folder);
    });
  } catch (error) {
    fallBack(error);
  }
  const use: Use = (operation) => {
    if (memory !== null || file === null) return operation(memory ?? inMemory());
    try {
      return file.use(operation);
    } catch (error) {
      return operation(fallBack(error));
    }
  };
  const close = (): void => {
    file?.close();
    memory?.close();
  };
  return new RunStore(folder, file === null ? null : join(folder, STORE_FILE), use, close);
}

interface FileDatabase {
  readonly use: Use;
  readonly close: () => void;
}

function openFile(
  root: string,
  options: Required<StoreOptions>,
  refill: (database: Sqlite) => void,
): FileDatabase {
  const connection = new Connection(root, options);
  return {
    use: (operation) => connection.use(operation, refill),
    close: () => {
      connection.close();
    },
  };
}

/**
 * The store in its file and nowhere else, for a training: a damaged one is rebuilt, and other runs are left for the
 * next look at the folders.
 * @throws StoreUnavailableError where the file cannot be used
 */
export function openForFeeding(root: string, options: Required<StoreOptions>): RunStore {
  const { use, close } = openFile(root, options, () => undefined);
  return new RunStore(root, join(root, STORE_FILE), use, close);
}

function isUnavailable(error: unknown): boolean {
  return error instanceof StoreUnavailableError && error.failure === 'unavailable';
}

/** An open store. It is as old as the last `sync`, but for runs that a training feeds into it. */
export class RunStore {
  /** The folder that holds the runs, as an absolute path. */
  readonly root: string;
  /** The database; null where it is in memory. */
  readonly path: string | null;
  readonly #use: Use;
  readonly #close: () => void;

  /** Use `openStore`. */
  constructor(root: string, path: string | null, use: Use, close: () => void) {
    this.root = root;
    this.path = path;
    this.#use = use;
    this.#close = close;
  }

  /** Takes in what has changed in the folders: new runs, new metrics, runs that were deleted, renamed or copied in. */
  sync(): SyncReport {
    return this.#use((database) => syncFolders(database, this.root));
  }

  /**
   * Takes one run in.
   * @param folder its path or its name in the folder of runs
   * @param maximumBatches of metrics, each of some hundred lines; all unless given
   */
  ingest(folder: string, maximumBatches = Infinity): Ingestion {
    const path = join(this.root, basename(folder));
    return this.#use((database) => ingestRun(database, path, maximumBatches));
  }

  /** The runs that a query asks for, the newest first unless it says otherwise. @throws RunError for an unknown metric */
  runs(query: RunQuery = {}): RunEntry[] {
    return this.#use((database) => {
      this.#checkMetrics(database, query);
      return findRuns(database, this.root, query);
    });
  }

  /** Everything about one run. @param folder its name in the folder of runs */
  run(folder: string): RunDetails {
    return this.#use((database) => findRun(database, this.root, folder));
  }

  /** Every metric of a run with its extremes and its last value. */
  metrics(folder: string): MetricSummary[] {
    return this.#use((database) => summariseMetrics(database, this.root, folder));
  }

  /** The values of a metric; of epochs unless the query says otherwise. */
  series(folder: string, name: string, query: SeriesQuery = {}): MetricPoint[] {
    return this.#use((database) => findSeries(database, this.root, folder, name, query));
  }

  /**
   * The run that was meant: a path of its folder, the folder's name, its id, or the beginning of these if no other run
   * has the same.
   * @throws RunError that lists what there is
   */
  find(text: string): RunDetails {
    const isPath = /[/\\]/.test(text) && existsSync(join(resolve(text), FILES.info));
    if (isPath && dirname(resolve(text)) === this.root) return this.run(basename(resolve(text)));
    const runs = this.runs();
    const exact = runs.filter(({ folder, id }) => folder === text || id === text);
    const found = exact.length > 0 ? exact : runs.filter((run) => run.folder.startsWith(text));
    const [only] = found;
    if (only !== undefined && found.length === 1) return this.run(only.folder);
    const names = (found.length > 1 ? found : runs).slice(0, 5).map(({ folder }) => folder);
    throw new RunError(
      'missing',
      join(this.root, text),
      `cannot find the run ${JSON.stringify(text)} in ${this.root}: ` +
        (found.length > 1
          ? `${found.length} runs begin like that`
          : names.length === 0
            ? 'there are no runs'
            : 'no name of a run begins like that'),
      {
        remedy:
          names.length === 0
            ? 'Give the folder that holds them with --runs.'
            : `Give the name of a run or enough of its beginning: ${names.join(', ')}.`,
      },
    );
  }

  /** Closes the database; all of the store's methods throw from then on. */
  close(): void {
    this.#close();
  }

  /** A wrong name would look like a condition that no run meets. */
  #checkMetrics(database: Sqlite, { best = [], last = [], sort }: RunQuery): void {
    const sorted = sort === undefined || SORT_KEYS.has(sort) ? [] : [sort];
    const asked = new Set([...best, ...last].map(({ metric }) => metric).concat(sorted));
    if (asked.size === 0) return;
    const runs = database.prepare<[], { key: number }>('SELECT key FROM runs').all();
    for (const metric of asked) {
      if (runs.length === 0 || runs.some(({ key }) => hasMetric(database, key, metric))) continue;
      const known = database
        .prepare<[], { name: string }>("SELECT DISTINCT name FROM metrics WHERE kind = 'epoch' ORDER BY name")
        .all();
      const groups = new Set(known.map(({ name }) => name.split('/')[0] ?? name));
      throw new RunError(
        'invalid',
        metric,
        `cannot look for the metric ${JSON.stringify(metric)}: no run in ${this.root} has it at the end of an epoch`,
        {
          remedy:
            groups.size === 0 ? 'No metrics are recorded yet.' : `Use one of ${[...groups].join(', ')}.`,
        },
      );
    }
  }
}

const SORT_KEYS: ReadonlySet<string> = new Set(['started', 'name', 'duration', 'epochs']);

function syncFolders(database: Sqlite, root: string): SyncReport {
  let added = 0;
  let updated = 0;
  const unreadable: RunError[] = [];
  const present = new Set<string>();
  for (const folder of runFolders(root)) {
    try {
      const { isNew, hasChanged } = ingestRun(database, join(root, folder));
      present.add(folder);
      if (isNew) added += 1;
      else if (hasChanged) updated += 1;
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      // One may be deleted while we look.
      if (error.kind !== 'missing' && error.kind !== 'not-a-run') unreadable.push(error);
    }
  }
  return { added, updated, removed: forgetOthers(database, present), unreadable };
}

/** Names of the folders that hold a run; hidden ones are on their way in or out. */
function runFolders(root: string): string[] {
  try {
    return readdirSync(root)
      .filter((name) => !name.startsWith('.') && existsSync(join(root, name, FILES.info)))
      .sort();
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return [];
    throw describeFileError(error, 'list the runs', root);
  }
}
