/** Makes a run folder and records an execution in it, so that what has been written is whole whenever the process stops. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { errorText } from '@cohort-ml/errors';
import {
  checkCheckpointName,
  listCheckpoints,
  removeCheckpoint,
  replaceCheckpoint,
  replaceCheckpointLater,
} from './checkpoints.ts';
import { describeFileError, fileErrorCode, RunError } from './errors.ts';
import { appendWhole, makeFolders, removeQuietly, replaceFile, syncTree } from './files.ts';
import type { HeldFileLock } from './fileLock.ts';
import { acquireRunLock } from './lock.ts';
import { encodeMetric, type MetricRecord } from './metrics.ts';
import type { RunObserver } from './observer.ts';
import { runId } from './runId.ts';
import {
  checkRunInfo,
  FILES,
  formatJsonRecord,
  parseJsonRecord,
  RUN_SCHEMA_VERSION,
  type JsonRecord,
  type RunInfo,
} from './schema.ts';

/** What a new run is made from. */
export interface RunOptions {
  /** Folder that holds the runs; made if it is missing. */
  readonly root: string;
  /** Name of the recipe; the folder's name is made from it. */
  readonly name: string;
  /** Text of the resolved recipe. */
  readonly recipe: string;
  /** Versions, processor, seeds: whatever explains the numbers later. */
  readonly environment: JsonRecord;
  /** The command that started the run. */
  readonly command: string;
  /** The clock; the system's by default. */
  readonly now?: () => Date;
}

/** Metric records held back before they are appended together. */
const METRICS_PER_BATCH = 64;

/**
 * Makes a run folder `<root>/<name>-<yyyymmdd-hhmmss>` (UTC), with `-2`, `-3` ... added if that is taken.
 * If it cannot be made, nothing is left of it.
 * @throws RunError that names the path and the remedy
 */
export function createRun(options: RunOptions): RunWriter {
  const now = options.now ?? ((): Date => new Date());
  const startedAt = now();
  const root = resolve(options.root);
  const environment = formatJsonRecord(options.environment, join(root, FILES.environment));
  try {
    makeFolders(root);
  } catch (error) {
    throw describeFileError(error, 'make the folder for runs', root);
  }
  const { id, folder } = makeFolder(root, options.name, startedAt);
  const info: RunInfo = {
    schemaVersion: RUN_SCHEMA_VERSION,
    id,
    name: options.name,
    status: 'running',
    startedAt: startedAt.toISOString(),
    endedAt: null,
    command: options.command,
    failure: null,
  };
  let lock: HeldFileLock;
  try {
    // First of all, so that no other process takes the folder for an abandoned one.
    lock = acquireRunLock(folder);
    writeFileSync(join(folder, FILES.recipe), options.recipe);
    writeFileSync(join(folder, FILES.environment), environment);
    writeFileSync(join(folder, FILES.metrics), '');
    writeFileSync(join(folder, FILES.log), '');
    mkdirSync(join(folder, FILES.checkpoints));
    syncTree(folder);
    // Last, since it is what makes the folder a run.
    replaceFile(join(folder, FILES.info), formatJsonRecord(info, join(folder, FILES.info)));
  } catch (error) {
    removeQuietly(folder);
    throw describeFileError(error, 'make the run folder', folder);
  }
  return new RunWriter(folder, info, now, lock);
}

/** How a run is resumed. */
export interface ReopenOptions {
  /** The lock on it; the writer gives it back when the run ends. */
  readonly lock: HeldFileLock;
  /** Name of the checkpoint that it continues from; null where there is none, and it starts over. */
  readonly checkpoint: string | null;
  /** How long the metrics file was when that was written: anything after it is repeated. */
  readonly metricsBytes: number;
  /** The command that takes it up. */
  readonly command: string;
  /** Text of the resolved recipe, where it has been changed. */
  readonly recipe?: string;
  /** The clock; the system's by default. */
  readonly now?: () => Date;
}

/**
 * Opens a run folder to continue writing: metrics are cut back to the checkpoint, a summary of an earlier end goes, and the
 * status is `running` again.
 * @throws RunError that names the path and the remedy
 */
export function reopenRun(path: string, options: ReopenOptions): RunWriter {
  const folder = resolve(path);
  const now = options.now ?? ((): Date => new Date());
  const infoPath = join(folder, FILES.info);
  try {
    const info = checkRunInfo(parseJsonRecord(readFileSync(infoPath, 'utf8'), infoPath), infoPath);
    const { command, checkpoint } = options;
    const resumes = [...(info.resumes ?? []), { at: now().toISOString(), command, checkpoint }];
    const running: RunInfo = { ...info, status: 'running', endedAt: null, failure: null, resumes };
    const metrics = join(folder, FILES.metrics);
    // What is missing cannot be brought back; a run without it still trains to the same weights.
    if (!existsSync(metrics)) writeFileSync(metrics, '');
    if (statSync(metrics).size > options.metricsBytes) truncateSync(metrics, options.metricsBytes);
    rmSync(join(folder, FILES.summary), { force: true });
    if (options.recipe !== undefined) replaceFile(join(folder, FILES.recipe), options.recipe);
    replaceFile(infoPath, formatJsonRecord(running, infoPath));
    const lastGood = checkpoint === null ? null : join(folder, FILES.checkpoints, checkpoint);
    return new RunWriter(folder, running, now, options.lock, lastGood);
  } catch (error) {
    throw describeFileError(error, 'take up the run again', folder);
  }
}

function makeFolder(root: string, name: string, startedAt: Date): { id: string; folder: string } {
  for (let attempt = 1; ; attempt++) {
    const id = runId(name, startedAt, attempt);
    const folder = join(root, id);
    try {
      // Without `recursive` this fails if the folder exists, so two processes never get the same one.
      mkdirSync(folder);
      return { id, folder };
    } catch (error) {
      if (fileErrorCode(error) !== 'EEXIST') throw describeFileError(error, 'make the run folder', folder);
    }
  }
}

/** Records one execution. One process writes a run; any number may read it meanwhile. */
export class RunWriter {
  /** The run folder, as an absolute path. */
  readonly path: string;
  #info: RunInfo;
  readonly #now: () => Date;
  readonly #observers: RunObserver[] = [];
  #pendingLines: string[] = [];
  #lastGoodCheckpoint: string | null;
  #closed = false;
  readonly #lock: HeldFileLock;

  /** Use `createRun` or `reopenRun`. */
  constructor(
    path: string,
    info: RunInfo,
    now: () => Date,
    lock: HeldFileLock,
    lastGoodCheckpoint: string | null = null,
  ) {
    this.#lock = lock;
    this.#lastGoodCheckpoint = lastGoodCheckpoint;
    this.path = path;
    this.#info = info;
    this.#now = now;
  }

  /** What `run.json` says now. */
  get info(): RunInfo {
    return this.#info;
  }

  /** The checkpoint written last; null before the first. */
  get lastGoodCheckpoint(): string | null {
    return this.#lastGoodCheckpoint;
  }

  /** Lets an observer know of all that is recorded from now on. */
  observe(observer: RunObserver): void {
    this.#observers.push(observer);
  }

  /**
   * Takes a record. Step records are held back and appended in batches; an epoch record is appended at once with all
   * that waited, since people watch for it.
   */
  metrics(record: MetricRecord): void {
    this.#refuseWhenClosed('record metrics');
    this.#pendingLines.push(encodeMetric(record, join(this.path, FILES.metrics)));
    for (const observer of this.#observers) observer.metrics?.(record);
    if (record.kind === 'epoch' || this.#pendingLines.length >= METRICS_PER_BATCH) this.flush();
  }

  /** Appends the metric records that wait. If that fails they keep waiting, and the file is as it was. */
  flush(): void {
    if (this.#pendingLines.length === 0) return;
    const path = join(this.path, FILES.metrics);
    this.#guard('write the metrics', path, () => {
      appendWhole(path, this.#pendingLines.join(''));
    });
    this.#pendingLines = [];
    for (const observer of this.#observers) observer.flushed?.();
  }

  /** Appends a text to the log at once, each of its lines with the time (ISO 8601, UTC). */
  log(text: string): void {
    this.#refuseWhenClosed('write to the log');
    const path = join(this.path, FILES.log);
    const time = this.#now().toISOString();
    const lines = text.replace(/\n$/, '').split('\n');
    this.#guard('write to the log', path, () => {
      appendWhole(path, lines.map((line) => `${time} ${line}`.trimEnd() + '\n').join(''));
    });
  }

  /**
   * Lets `write` fill a folder and puts it in place of `checkpoints/<name>` once it is whole and on the disk; metrics
   * up to here are written first. If anything fails, the old checkpoint stays; an error of `write` that has nothing to
   * do with files comes out as it is.
   * @returns the path of the checkpoint
   */
  checkpointFolder(name: string, write: (folder: string) => void): string {
    this.#refuseWhenClosed('write a checkpoint');
    const checkpoints = join(this.path, FILES.checkpoints);
    checkCheckpointName(name, checkpoints);
    this.flush();
    const what = `write the checkpoint "${name}"`;
    return this.#guard(what, join(checkpoints, name), () => {
      this.#lastGoodCheckpoint = replaceCheckpoint(checkpoints, name, write);
      return this.#lastGoodCheckpoint;
    });
  }

  /**
   * `checkpointFolder` for a `write` that runs elsewhere while metrics and log lines are taken; one at a time. `write`
   * flushes what it writes to the disk itself.
   * @returns the path of the checkpoint
   */
  async checkpointLater(name: string, write: (folder: string) => Promise<void>): Promise<string> {
    this.#refuseWhenClosed('write a checkpoint');
    const checkpoints = join(this.path, FILES.checkpoints);
    checkCheckpointName(name, checkpoints);
    try {
      this.#lastGoodCheckpoint = await replaceCheckpointLater(checkpoints, name, write);
      return this.#lastGoodCheckpoint;
    } catch (error) {
      throw this.#described(error, `write the checkpoint "${name}"`, join(checkpoints, name));
    }
  }

  /** The names of the checkpoints that there are, sorted. */
  checkpoints(): string[] {
    return listCheckpoints(join(this.path, FILES.checkpoints));
  }

  /** Removes a checkpoint that is not to be kept. */
  removeCheckpoint(name: string): void {
    const checkpoints = join(this.path, FILES.checkpoints);
    checkCheckpointName(name, checkpoints);
    this.#guard(`remove the checkpoint "${name}"`, join(checkpoints, name), () => {
      removeCheckpoint(checkpoints, name);
    });
  }

  /** Appends the metric records that wait. @returns how long the metrics file then is, in bytes */
  metricsBytes(): number {
    this.flush();
    const path = join(this.path, FILES.metrics);
    return this.#guard('look at the metrics', path, () => statSync(path).size);
  }

  /** Appends what waits and takes no more metrics, log lines or checkpoints. The run's status is left as it is. */
  close(): void {
    this.flush();
    this.#closed = true;
  }

  /** Ends the run well: writes `summary.json`, then the status. */
  finish(summary: JsonRecord): void {
    this.#refuseWhenEnded('finish the run');
    const path = join(this.path, FILES.summary);
    const text = formatJsonRecord(summary, path);
    this.close();
    this.#guard('write the summary', path, () => {
      replaceFile(path, text);
    });
    this.#end('finished', null);
    this.#lock.release();
  }

  /**
   * Ends the run as failed. It is called while another error is on its way out and so never throws: what could not be
   * recorded (the disk may be full) is returned. A run that has ended stays as it ended.
   */
  fail(error: unknown): RunError | null {
    return this.#endQuietly('failed', errorText(error));
  }

  /** Ends the run as interrupted, so that it can be resumed; otherwise like `fail`. */
  interrupt(): RunError | null {
    return this.#endQuietly('interrupted', null);
  }

  #endQuietly(status: 'failed' | 'interrupted', failure: string | null): RunError | null {
    if (this.#info.status !== 'running') return null;
    let problem: RunError | null = null;
    const path = join(this.path, FILES.info);
    // The status is worth writing even where the last metrics could not be.
    for (const step of [
      (): void => {
        this.close();
      },
      (): void => {
        this.#end(status, failure);
      },
    ]) {
      try {
        step();
      } catch (error) {
        problem ??= describeFileError(error, 'end the run', path);
      }
    }
    this.#closed = true;
    this.#lock.release();
    return problem;
  }

  #end(status: RunInfo['status'], failure: string | null): void {
    const path = join(this.path, FILES.info);
    const endedAt = this.#now().toISOString();
    this.#logEnd(endedAt, failure === null ? `the run is ${status}` : `the run has failed: ${failure}`);
    const ended: RunInfo = { ...this.#info, status, endedAt, failure };
    this.#guard('write the status of the run', path, () => {
      replaceFile(path, formatJsonRecord(ended, path));
    });
    this.#info = ended;
    for (const observer of this.#observers) observer.ended?.();
  }

  /** The log's last line; where it cannot be written the status is all the more worth writing. */
  #logEnd(time: string, text: string): void {
    const lines = text.split('\n').map((line) => `${time} ${line}\n`);
    try {
      appendWhole(join(this.path, FILES.log), lines.join(''));
    } catch {
      // run.json says the same.
    }
  }

  /** Runs a file operation; a failure of the file system comes out as a `RunError`, any other error as it is. */
  #guard<T>(what: string, path: string, operation: () => T): T {
    try {
      return operation();
    } catch (error) {
      throw this.#described(error, what, path);
    }
  }

  #described(error: unknown, what: string, path: string): unknown {
    if (fileErrorCode(error) === null) return error;
    return describeFileError(error, what, path, { lastGoodCheckpoint: this.#lastGoodCheckpoint });
  }

  #refuseWhenClosed(what: string): void {
    if (this.#closed) this.#refuse(what);
  }

  #refuseWhenEnded(what: string): void {
    if (this.#info.status !== 'running') this.#refuse(what);
  }

  #refuse(what: string): never {
    const state = this.#info.status === 'running' ? 'it was closed' : `it is ${this.#info.status}`;
    throw new RunError('ended', this.path, `cannot ${what} in ${this.path}: ${state}`, {
      remedy: 'Start a new run with createRun.',
    });
  }
}
