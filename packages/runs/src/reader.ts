/** Reads run folders, finished ones and those still being written, and says exactly what is wrong with a bad one. */
import { readdirSync, readFileSync, statSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { checkCheckpointName, findCheckpoint, listCheckpoints } from './checkpoints.ts';
import { describeFileError, fileErrorCode, RunError } from './errors.ts';
import { isRunLive } from './lock.ts';
import { readMetrics, type MetricFilter, type MetricRecord } from './metrics.ts';
import {
  checkRunInfo,
  FILES,
  parseJsonRecord,
  type JsonRecord,
  type RunInfo,
  type RunStatus,
} from './schema.ts';

/** What a folder of runs holds. */
export interface RunList {
  /** The runs, the newest first. */
  readonly runs: RunReader[];
  /** One error for each run folder that cannot be read; one bad run does not hide the others. */
  readonly unreadable: RunError[];
}

/**
 * Opens a run folder.
 * @throws RunError if it is missing, no run folder, from a newer Cohort, or corrupt
 */
export function openRun(path: string): RunReader {
  const folder = resolve(path);
  const stats = statOf(folder);
  if (stats === undefined) {
    throw new RunError('missing', folder, `cannot open the run ${folder}: there is no such folder`, {
      remedy: `Check the path, or look in ${dirname(folder)}.`,
    });
  }
  if (!stats.isDirectory()) throw notARun(folder, 'it is a file and not a folder');
  if (statOf(join(folder, FILES.info)) === undefined) throw notARun(folder, `it has no ${FILES.info}`);
  return new RunReader(folder);
}

/** The runs in a folder; none if it does not exist, since the first run makes it. */
export function listRuns(root: string): RunList {
  const folder = resolve(root);
  const runs: RunReader[] = [];
  const unreadable: RunError[] = [];
  for (const name of namesIn(folder)) {
    try {
      runs.push(openRun(join(folder, name)));
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      // Other folders and files may lie there too, and a run may be deleted while we look.
      if (error.kind !== 'not-a-run' && error.kind !== 'missing') unreadable.push(error);
    }
  }
  runs.sort((a, b) => Date.parse(b.info.startedAt) - Date.parse(a.info.startedAt) || compare(b, a));
  return { runs, unreadable };
}

/** Why a run has no checkpoint at all, and what to do. */
const WITHOUT_CHECKPOINT: Readonly<Record<RunStatus | 'stopped', readonly [reason: string, remedy: string]>> =
  {
    running: ['the run is being trained and has none yet', 'Wait for its first one, and try again.'],
    stopped: ['the run was killed before its first one', trainAnew()],
    finished: ['all of them were deleted', 'Restore them from a copy, or train its recipe.yaml again.'],
    failed: ['the run failed before its first one', `Fix what its log.txt reports. ${trainAnew()}`],
    interrupted: ['the run was interrupted before its first one', trainAnew()],
  };

function trainAnew(): string {
  return 'Pass this folder to cohort train --resume, which then starts from the first step.';
}

/** One run folder, open for reading. */
export class RunReader {
  /** The run folder, as an absolute path. */
  readonly path: string;
  /** What `run.json` said when the run was opened. */
  readonly info: RunInfo;

  /** Use `openRun`, which gives better messages for what is no run folder. */
  constructor(path: string) {
    this.path = path;
    const infoPath = join(path, FILES.info);
    this.info = checkRunInfo(parseJsonRecord(readText(infoPath), infoPath), infoPath);
  }

  /** The resolved recipe's text. */
  get recipe(): string {
    return readText(join(this.path, FILES.recipe));
  }

  /** The environment as it was recorded; numbers that are not finite are strings. */
  get environment(): JsonRecord {
    const path = join(this.path, FILES.environment);
    return parseJsonRecord(readText(path), path);
  }

  /** The summary as it was recorded, numbers that are not finite as strings; null for a run without one. */
  get summary(): JsonRecord | null {
    const path = join(this.path, FILES.summary);
    return statOf(path) === undefined ? null : parseJsonRecord(readText(path), path);
  }

  /** The log so far. */
  get log(): string {
    return readText(join(this.path, FILES.log));
  }

  /** The metric records in the order they were written; the file is read as the records are asked for. */
  metrics(filter: MetricFilter = {}): Iterable<MetricRecord> {
    const path = join(this.path, FILES.metrics);
    return { [Symbol.iterator]: () => readMetrics(path, filter) };
  }

  /** The names of the checkpoints, sorted. */
  checkpoints(): string[] {
    return listCheckpoints(join(this.path, FILES.checkpoints));
  }

  /**
   * The folder of a checkpoint; `last` is that of the latest step where none has that name. During the run a newer one may take its place, so open its files at once.
   * @throws RunError of kind `missing-checkpoint` that lists those there are
   */
  checkpoint(name: string): string {
    const checkpoints = join(this.path, FILES.checkpoints);
    checkCheckpointName(name, checkpoints);
    const found = findCheckpoint(checkpoints, name);
    if (found !== null) return found;
    const names = this.checkpoints();
    // Their numbers have leading zeros, so that the last name is the latest step.
    const latest = names.filter((each) => /^step-\d+$/.test(each)).at(-1);
    if (name === 'last' && latest !== undefined) return this.checkpoint(latest);
    const { status } = this.info;
    const state = status === 'running' && !isRunLive(this.path) ? 'stopped' : status;
    const [reason, remedy] =
      names.length === 0
        ? WITHOUT_CHECKPOINT[state]
        : ['there is no such checkpoint', `Choose one of ${names.join(', ')}.`];
    throw new RunError(
      'missing-checkpoint',
      join(checkpoints, name),
      `cannot open the checkpoint "${name}" of the run ${this.path}: ${reason}`,
      { remedy },
    );
  }
}

function notARun(folder: string, reason: string): RunError {
  return new RunError('not-a-run', folder, `cannot open ${folder}: it is not a run folder, ${reason}`, {
    remedy: 'Give a folder that cohort train made.',
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return [];
    throw describeFileError(error, 'list the runs', folder);
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw describeFileError(error, 'open the run', path);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw describeFileError(error, 'read a file of the run', path);
  }
}

function compare(a: RunReader, b: RunReader): number {
  return a.info.id < b.info.id ? -1 : a.info.id > b.info.id ? 1 : 0;
}
