/** The names and shapes of what a run folder holds, with the check of `run.json`: the one place that writer and reader share. */
import { errorText } from '@cohort-ml/errors';
import { RunError } from './errors.ts';

/** The version of the layout that this package writes; readers refuse a greater one. */
export const RUN_SCHEMA_VERSION = 1;

/** File and folder names inside a run folder. */
export const FILES = {
  info: 'run.json',
  lock: 'lock.json',
  recipe: 'recipe.yaml',
  environment: 'environment.json',
  metrics: 'metrics.jsonl',
  log: 'log.txt',
  summary: 'summary.json',
  checkpoints: 'checkpoints',
  heldOut: 'heldOut',
  trainedImages: 'trainedImages.safetensors',
  ranks: 'ranks/ranks.json',
} as const;

const STATUSES = ['running', 'finished', 'failed', 'interrupted'] as const;

/** Where a run stands. A process that was killed leaves `running` behind. */
export type RunStatus = (typeof STATUSES)[number];

/** Any JSON object; what is in it is the caller's business. */
export type JsonRecord = Record<string, unknown>;

/** What `run.json` says. */
export interface RunInfo {
  /** Version of the run folder's layout. */
  readonly schemaVersion: number;
  /** Name of the folder when it was made. */
  readonly id: string;
  /** Name of the recipe, as given. */
  readonly name: string;
  /** Where the run stands. */
  readonly status: RunStatus;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** ISO 8601, UTC; null during the run. */
  readonly endedAt: string | null;
  /** The command that started it. */
  readonly command: string;
  /** Why the run failed; null unless the status is `failed`. */
  readonly failure: string | null;
  /** Every time that it was resumed; absent where it never was. */
  readonly resumes?: readonly RunResume[];
}

/** One time that a run was resumed. */
export interface RunResume {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** The command that did it. */
  readonly command: string;
  /** Name of the checkpoint that it continued from; null where there was none, and it started over. */
  readonly checkpoint: string | null;
}

/** True for a JSON object, which an array and null are not. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses the text of a JSON file that must hold one object. */
export function parseJsonRecord(text: string, path: string): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt(path, `it is not JSON (${errorText(error)})`, { cause: error });
  }
  if (!isRecord(value)) throw corrupt(path, 'expected a JSON object, got another value');
  return value;
}

/**
 * Writes a JSON object as an indented text with a final newline. Numbers that are not finite become the strings
 * `"NaN"`, `"Infinity"` and `"-Infinity"`, since JSON would make them null without a word.
 * @throws RunError of kind `invalid` for what JSON cannot hold: a BigInt, a cycle
 */
export function formatJsonRecord(value: object, path: string): string {
  const keepNonFinite = (_key: string, item: unknown): unknown =>
    typeof item === 'number' && !Number.isFinite(item) ? String(item) : item;
  try {
    return `${JSON.stringify(value, keepNonFinite, 2)}\n`;
  } catch (error) {
    throw new RunError(
      'invalid',
      path,
      `cannot write ${path}: expected values that JSON can hold, but ${errorText(error)}`,
      { cause: error, remedy: 'Convert them first.' },
    );
  }
}

/** Checks a parsed `run.json`, its version first since all else depends on it. */
export function checkRunInfo(record: JsonRecord, path: string): RunInfo {
  const { schemaVersion, status } = record;
  if (typeof schemaVersion !== 'number' || !Number.isInteger(schemaVersion) || schemaVersion < 1) {
    throw corrupt(
      path,
      `schemaVersion: expected a whole number of at least 1, got ${JSON.stringify(schemaVersion)}`,
    );
  }
  if (schemaVersion > RUN_SCHEMA_VERSION) {
    throw new RunError(
      'newer-version',
      path,
      `cannot read ${path}: it was made by a newer Cohort (schema version ${schemaVersion}, ` +
        `this one reads up to ${RUN_SCHEMA_VERSION})`,
      { remedy: 'Update Cohort.' },
    );
  }
  const knownStatus = STATUSES.find((candidate) => candidate === status);
  if (knownStatus === undefined) {
    throw corrupt(path, `status: expected one of ${STATUSES.join(', ')}, got ${JSON.stringify(status)}`);
  }
  return {
    schemaVersion,
    id: stringField(record, 'id', path),
    name: stringField(record, 'name', path),
    status: knownStatus,
    startedAt: timeField(record, 'startedAt', path),
    endedAt: record.endedAt === null ? null : timeField(record, 'endedAt', path),
    command: stringField(record, 'command', path),
    failure: record.failure === null ? null : stringField(record, 'failure', path),
    ...(record.resumes === undefined ? {} : { resumes: resumesField(record.resumes, path) }),
  };
}

function resumesField(value: unknown, path: string): RunResume[] {
  if (!Array.isArray(value)) throw corrupt(path, `resumes: expected a list, got ${JSON.stringify(value)}`);
  return value.map((entry: unknown) => {
    if (!isRecord(entry)) {
      throw corrupt(path, `resumes: expected objects, got ${JSON.stringify(entry)}`);
    }
    return {
      at: timeField(entry, 'at', path),
      command: stringField(entry, 'command', path),
      checkpoint: entry.checkpoint === null ? null : stringField(entry, 'checkpoint', path),
    };
  });
}

/** A `corrupt` error: the file, what is wrong with it, and what to do. */
export function corrupt(path: string, problem: string, options?: ErrorOptions): RunError {
  return new RunError('corrupt', path, `cannot read ${path}: ${problem}`, {
    ...options,
    remedy: 'The file was damaged or edited: restore it from a copy, or delete the run folder.',
  });
}

function stringField(record: JsonRecord, key: string, path: string): string {
  const value = record[key];
  if (typeof value !== 'string') {
    throw corrupt(path, `${key}: expected a string, got ${JSON.stringify(value)}`);
  }
  return value;
}

function timeField(record: JsonRecord, key: string, path: string): string {
  const value = stringField(record, key, path);
  if (Number.isNaN(Date.parse(value))) {
    throw corrupt(path, `${key}: expected an ISO 8601 time, got ${JSON.stringify(value)}`);
  }
  return value;
}
