/** One folder in the catalogue: what is known of it now, and how it is looked at again at little cost. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import {
  isRunLive,
  openRun,
  RunError,
  SCORE_NAMES,
  scoreMetrics,
  type RunInfo,
  type ScoreName,
} from '@cohort-ml/runs';
import type { Result, RowState, RunRow, SettingValue } from '../api/types.ts';
import { ANNOTATIONS_FILE, readAnnotations, type Annotations } from './annotations.ts';
import { EpochDigest } from './epochDigest.ts';
import { recipeKey, settingsOf, type FlatSettings } from './settings.ts';

/** Results that every row has; in place of accuracies, those of another task's score. */
const MAIN_RESULTS = ['accuracy', 'accuracy/ensemble', 'validationAccuracy', 'total'];

/** Columns that somebody asked for. */
export interface AskedColumns {
  readonly settings: readonly string[];
  readonly metrics: readonly string[];
}

/** A folder of the catalogue. */
export class CatalogueEntry {
  readonly id: string;
  /** Inside the folder of runs, with `/` between folders. */
  readonly folder: string;
  readonly path: string;
  readonly comparison: string | null;
  #info: RunInfo | null = null;
  #state: RowState = 'foreign';
  #problem: string | null = null;
  #stamp = '';
  #settings: FlatSettings | null = null;
  #recipe = '';
  #annotations: Annotations = { note: '', tags: [], archived: false };
  #digest: EpochDigest;
  #hasDigest = false;
  #revision = 0;

  constructor(id: string, folder: string, path: string, comparison: string | null) {
    this.id = id;
    this.folder = folder;
    this.path = path;
    this.comparison = comparison;
    this.#digest = new EpochDigest(join(path, 'metrics.jsonl'));
  }

  get info(): RunInfo | null {
    return this.#info;
  }

  get state(): RowState {
    return this.#state;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Whether a process is writing it. */
  get isLive(): boolean {
    return this.#state === 'running';
  }

  /** Whether its folder has been looked at. */
  get isKnown(): boolean {
    return this.#stamp !== '';
  }

  /** Whether its recipe and results have been read. */
  get isComplete(): boolean {
    return this.#settings !== null && this.#hasDigest;
  }

  /** Settings by dotted path; read at the first call. */
  get settings(): FlatSettings {
    this.#settings ??= this.#readSettings();
    return this.#settings;
  }

  get metricNames(): string[] {
    return this.#digest.names;
  }

  /** Looks at the small files. @returns whether the row has changed */
  refreshInfo(): boolean {
    const stamp = ['run.json', ANNOTATIONS_FILE, 'lock.json', 'summary.json']
      .map((name) => {
        const stats = statSync(join(this.path, name), { throwIfNoEntry: false });
        return stats === undefined ? '-' : `${stats.ino}:${stats.size}:${stats.mtimeMs}`;
      })
      .join(' ');
    // A process that dies without a word leaves its files as they are.
    if (stamp === this.#stamp && this.#state !== 'running') return false;
    const before = `${this.#state} ${this.#problem} ${this.#stamp}`;
    this.#stamp = stamp;
    this.#readInfo();
    return before !== `${this.#state} ${this.#problem} ${stamp}`;
  }

  /** Reads recipe and epochs, or what was added to them. @returns whether the row has changed */
  refreshResults(): boolean {
    if (this.#info === null) return false;
    const wasComplete = this.isComplete;
    this.#settings ??= this.#readSettings();
    this.#hasDigest = true;
    try {
      return this.#digest.refresh() || !wasComplete;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      const hasChanged = this.#problem !== problem;
      this.#problem = problem;
      return hasChanged;
    }
  }

  /** Marks a change. */
  touch(revision: number): void {
    this.#revision = revision;
  }

  /** The folder is gone. */
  vanish(): void {
    this.#state = 'vanished';
    this.#problem = 'The folder was moved or deleted while it was being looked at.';
  }

  /** The row as the API gives it. */
  row(asked: AskedColumns): RunRow {
    const info = this.#info;
    const { last } = this.#digest;
    const setting = (key: string): SettingValue => this.#settings?.get(key) ?? null;
    const text = (key: string): string | null => textOf(setting(key));
    const count = (key: string): number | null => numberOf(setting(key));
    return {
      id: this.id,
      folder: this.folder,
      name: info?.name ?? this.folder,
      state: this.#state,
      problem: this.#problem,
      startedAt: info?.startedAt ?? null,
      endedAt: info?.endedAt ?? null,
      failure: info?.failure ?? null,
      method: text('method.name'),
      dataset: text('data.dataset'),
      networks: this.#networks(),
      seed: count('seed'),
      recipe: this.#recipe,
      epochs: count('train.epochs'),
      epoch: last?.epoch ?? 0,
      step: last?.step ?? 0,
      seconds: (last?.timeMs ?? 0) / 1000,
      scoreName: this.#scoreName,
      results: this.#results([...MAIN_RESULTS, ...asked.metrics]),
      settings: Object.fromEntries(asked.settings.map((key) => [key, setting(key)])),
      trend: this.#digest.trend,
      comparison: this.comparison,
      ...this.#annotations,
      revision: this.#revision,
    };
  }

  /** What stands for the networks; accuracy until something else is measured. */
  get #scoreName(): ScoreName {
    return (
      SCORE_NAMES.find((name) => {
        const { test, validation } = scoreMetrics(name);
        return this.#digest.result(test) !== undefined || this.#digest.result(validation) !== undefined;
      }) ?? 'accuracy'
    );
  }

  #results(names: readonly string[]): Record<string, Result> {
    const { test, validation } = scoreMetrics(this.#scoreName);
    const own: Readonly<Record<string, string>> = {
      accuracy: test,
      'accuracy/ensemble': `${test}/ensemble`,
      validationAccuracy: validation,
    };
    return Object.fromEntries(
      names.flatMap((name) => {
        const result = this.#digest.result(own[name] ?? name);
        return result === undefined ? [] : [[name, result]];
      }),
    );
  }

  #networks(): string[] {
    const models: string[] = [];
    for (;;) {
      const model = textOf(this.#settings?.get(`networks.${models.length}.model`) ?? null);
      if (model === null) return models;
      models.push(model);
    }
  }

  #readInfo(): void {
    try {
      const run = openRun(this.path);
      this.#info = run.info;
      this.#problem = null;
      this.#state = run.info.status === 'running' && !isRunLive(this.path) ? 'stopped' : run.info.status;
      this.#annotations = readAnnotations(this.path);
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      this.#info = null;
      this.#problem = error.message;
      this.#state = STATES[error.kind] ?? 'damaged';
    }
  }

  #readSettings(): FlatSettings {
    try {
      const settings = settingsOf(openRun(this.path).recipe);
      this.#recipe = recipeKey(settings);
      return settings;
    } catch (error) {
      if (error instanceof RunError) this.#problem ??= error.message;
      return new Map();
    }
  }
}

const STATES: Readonly<Record<string, RowState>> = {
  'newer-version': 'newer',
  'not-a-run': 'foreign',
  missing: 'vanished',
};

function textOf(value: SettingValue): string | null {
  return typeof value === 'string' ? value : null;
}

function numberOf(value: SettingValue): number | null {
  return typeof value === 'number' ? value : null;
}
