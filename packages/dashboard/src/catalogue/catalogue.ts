/** The catalogue of a folder of runs: every run under an id, kept up to date by looking at the folders a little at a time. */
import { join, resolve } from 'node:path';
import type { Fields, RunList } from '../api/types.ts';
import { FollowedLog, LogStore } from '../columns/index.ts';
import { CatalogueEntry, type AskedColumns } from './entry.ts';
import { findFolders, folderId, type FoundFolder } from './folders.ts';

/** Between two looks at live runs. */
const LIVE_MS = 1000;
/** Between two looks for new folders. */
const FOLDERS_MS = 2000;
/** Runs at rest that are looked at in each round. */
const RESTING_PER_ROUND = 100;
/** What may pass at the start, so that a folder of usual size is there at once. */
const FIRST_LOOK_MS = 150;
/** Work in one go, after which requests are answered. */
const SLICE_MS = 8;
const VANISHED_MS = 10 * 60_000;
const MOST_REMOVED = 10_000;

/** Told when rows have changed, with the newest revision. */
export type ChangeListener = (revision: number, live: readonly string[]) => void;

/** Runs by id. */
export class Catalogue {
  readonly root: string;
  readonly #entries = new Map<string, CatalogueEntry>();
  readonly #comparisons = new Map<string, FoundFolder>();
  readonly #logs = new LogStore();
  readonly #listeners = new Set<ChangeListener>();
  readonly #removed: { id: string; revision: number }[] = [];
  readonly #vanishedAt = new Map<string, number>();
  // Grows over restarts, so that what a page has seen of an earlier server is never newer.
  #revision = Date.now();
  readonly #firstRevision = this.#revision;
  #pending: CatalogueEntry[] = [];
  #resting: string[] = [];
  #timer: NodeJS.Timeout | null = null;
  #lastFoldersAt = -Infinity;
  #isReading = false;

  constructor(root: string) {
    this.root = resolve(root);
  }

  get revision(): number {
    return this.#revision;
  }

  /** Looks for the first time, and from then on by a timer until `stop`. */
  start(): void {
    this.#lookAtFolders();
    this.#timer = setInterval(() => {
      this.look();
    }, LIVE_MS);
    this.#timer.unref();
    void this.#readPending();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#listeners.clear();
    this.#pending = [];
  }

  /** Everything in one go, for pages that are written to a file. */
  readAll(): void {
    this.#lookAtFolders();
    for (const entry of this.#pending.splice(0)) {
      if (!entry.isKnown) entry.refreshInfo();
      entry.refreshResults();
    }
  }

  /** @returns a function that ends it */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  entry(id: string): CatalogueEntry | undefined {
    return this.#entries.get(id);
  }

  entries(): CatalogueEntry[] {
    return [...this.#entries.values()];
  }

  comparisons(): FoundFolder[] {
    return [...this.#comparisons.values()];
  }

  comparison(id: string): FoundFolder | undefined {
    return this.#comparisons.get(id);
  }

  /** The log of a run, followed into columns. */
  log(entry: CatalogueEntry): FollowedLog {
    return this.#logs.get(
      entry.id,
      () =>
        new FollowedLog(
          join(entry.path, 'metrics.jsonl'),
          join(this.root, '.dashboard', `${entry.id}.columns`),
        ),
    );
  }

  /** Rows that have changed after a revision; all of them for null. */
  list(since: number | null, asked: AskedColumns): RunList {
    const complete = since === null || since < this.#firstRevision;
    const entries = this.entries().filter((entry) => entry.isKnown && (complete || entry.revision > since));
    return {
      revision: this.#revision,
      complete,
      rows: entries.map((entry) => entry.row(asked)),
      removed: complete ? [] : this.#removed.flatMap(({ id, revision }) => (revision > since ? [id] : [])),
      pending: this.#pending.length,
    };
  }

  fields(): Fields {
    const values = new Map<string, Set<unknown>>();
    const metrics = new Set<string>();
    for (const entry of this.#entries.values()) {
      if (!entry.isComplete) continue;
      for (const name of entry.metricNames) metrics.add(name);
      for (const [key, value] of entry.settings) {
        const known = values.get(key) ?? new Set();
        known.add(value);
        values.set(key, known);
      }
    }
    const settings = [...values].map(([key, known]) => ({ key, values: known.size }));
    settings.sort((a, b) => Number(b.values > 1) - Number(a.values > 1));
    return { settings, metrics: [...metrics].sort() };
  }

  /** Looks again at one run, as after an edit. */
  refresh(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.refreshInfo();
    this.#change([entry]);
  }

  /** Takes a run out that was deleted on purpose. */
  remove(id: string): void {
    if (!this.#entries.delete(id)) return;
    this.#forget(id);
    this.#announce();
  }

  /** One round of the timer. */
  look(): void {
    if (performance.now() - this.#lastFoldersAt >= FOLDERS_MS) this.#lookAtFolders();
    const changed: CatalogueEntry[] = [];
    for (const entry of this.#entries.values()) {
      if (!entry.isLive) continue;
      const hasInfo = entry.refreshInfo();
      if (entry.refreshResults() || hasInfo) changed.push(entry);
    }
    const until = performance.now() + SLICE_MS;
    for (let count = 0; count < RESTING_PER_ROUND && performance.now() < until; count += 1) {
      if (this.#resting.length === 0) this.#resting = [...this.#entries.keys()];
      const entry = this.#entries.get(this.#resting.pop() ?? '');
      if (entry === undefined || entry.isLive || entry.state === 'vanished') continue;
      const hasInfo = entry.refreshInfo();
      if ((entry.isComplete && entry.refreshResults()) || hasInfo) changed.push(entry);
    }
    this.#change(changed);
    void this.#readPending();
  }

  #lookAtFolders(): void {
    this.#lastFoldersAt = performance.now();
    const found = findFolders(this.root);
    const present = new Set<string>();
    const changed: CatalogueEntry[] = [];
    const until = this.#lastFoldersAt + FIRST_LOOK_MS;
    this.#comparisons.clear();
    for (const folder of found) {
      const id = folderId(folder.folder);
      if (folder.kind === 'comparison') {
        this.#comparisons.set(id, folder);
        continue;
      }
      present.add(id);
      const known = this.#entries.get(id);
      if (known !== undefined && known.state !== 'vanished') continue;
      const entry = new CatalogueEntry(id, folder.folder, folder.path, folder.comparison);
      if (performance.now() < until) entry.refreshInfo();
      this.#entries.set(id, entry);
      this.#vanishedAt.delete(id);
      this.#pending.push(entry);
      changed.push(entry);
    }
    this.#pending.sort((a, b) => startOf(a) - startOf(b));
    changed.push(...this.#vanish(present));
    this.#change(changed);
  }

  #vanish(present: ReadonlySet<string>): CatalogueEntry[] {
    const now = performance.now();
    const changed: CatalogueEntry[] = [];
    for (const [id, entry] of this.#entries) {
      if (present.has(id)) continue;
      const since = this.#vanishedAt.get(id);
      if (since === undefined) {
        this.#vanishedAt.set(id, now);
        entry.vanish();
        changed.push(entry);
      } else if (now - since > VANISHED_MS) {
        this.#entries.delete(id);
        this.#forget(id);
      }
    }
    return changed;
  }

  #forget(id: string): void {
    this.#logs.forget(id);
    this.#vanishedAt.delete(id);
    this.#revision += 1;
    this.#removed.push({ id, revision: this.#revision });
    if (this.#removed.length > MOST_REMOVED) this.#removed.shift();
  }

  /** Recipes and epochs of the runs that were found, the newest first, in slices. */
  async #readPending(): Promise<void> {
    if (this.#isReading || this.#pending.length === 0) return;
    this.#isReading = true;
    try {
      while (this.#pending.length > 0) {
        const until = performance.now() + SLICE_MS;
        const changed: CatalogueEntry[] = [];
        while (performance.now() < until) {
          const entry = this.#pending.pop();
          if (entry === undefined) break;
          const hasInfo = !entry.isKnown && entry.refreshInfo();
          if (entry.refreshResults() || hasInfo) changed.push(entry);
        }
        this.#mark(changed);
        await new Promise((next) => setImmediate(next));
      }
      this.#announce();
    } finally {
      this.#isReading = false;
    }
  }

  #change(entries: readonly CatalogueEntry[]): void {
    if (entries.length === 0) return;
    this.#mark(entries);
    this.#announce(entries.map(({ id }) => id));
  }

  #mark(entries: readonly CatalogueEntry[]): void {
    if (entries.length === 0) return;
    this.#revision += 1;
    for (const entry of entries) entry.touch(this.#revision);
  }

  #announce(live: readonly string[] = []): void {
    for (const listener of this.#listeners) listener(this.#revision, live);
  }
}

function startOf(entry: CatalogueEntry): number {
  return entry.info === null ? -Infinity : Date.parse(entry.info.startedAt);
}
