/** Finds runs by reading their folders, for machines where SQLite does not load: slower than the store, with the same answers. */
import { basename } from 'node:path';
import type { RunError } from '../errors.ts';
import { isRunLive } from '../lock.ts';
import type { MetricRecord } from '../metrics.ts';
import { listRuns, type RunReader } from '../reader.ts';
import { meets, type MetricCondition } from './conditions.ts';
import { mainScore } from '../scores.ts';
import { compareKeys, type RunEntry, type RunQuery } from './queries.ts';
import { readableInto } from './readable.ts';
import { recipeFacts } from './recipeFacts.ts';

/** The runs that a query asks for, and what could not be read. */
export interface FolderQueryResult {
  readonly runs: readonly RunEntry[];
  readonly unreadable: readonly RunError[];
}

interface Candidate {
  readonly entry: RunEntry;
  /** Records of epochs, in the order they were written. */
  readonly epochs: readonly MetricRecord[];
}

/** Answers as `RunStore.runs` does, from `run.json`, `recipe.yaml` and `metrics.jsonl` of every folder. */
export function queryFolders(root: string, query: RunQuery = {}): FolderQueryResult {
  const { runs, unreadable } = listRuns(root);
  const { sort = 'started', best = [], last = [] } = query;
  const found = runs
    .map(candidateOf)
    .filter(
      ({ entry, epochs }) =>
        meetsFacts(entry, query) &&
        best.every((condition) => meets(bestOf(epochs, condition), condition)) &&
        last.every((condition) => meets(lastOf(epochs, condition.metric), condition)),
    );
  if (sort !== 'started') found.sort((a, b) => compareKeys(sortKey(a, sort), sortKey(b, sort)));
  if (query.reverse === true) found.reverse();
  return { runs: found.slice(0, query.limit ?? Infinity).map(({ entry }) => entry), unreadable };
}

function candidateOf(run: RunReader): Candidate {
  const problems: string[] = [];
  const readable = readableInto(problems);
  const records: MetricRecord[] = [];
  readable(() => {
    for (const record of run.metrics()) records.push(record);
  }, undefined);
  const epochs = records.filter(({ kind }) => kind === 'epoch');
  const { step, epoch, timeMs } = records.at(-1) ?? { step: 0, epoch: 0, timeMs: 0 };
  const { id, name, status, startedAt, endedAt, command, failure } = run.info;
  const entry: RunEntry = {
    folder: basename(run.path),
    path: run.path,
    id,
    name,
    state: status === 'running' && !isRunLive(run.path) ? 'stopped' : status,
    startedAt,
    endedAt,
    command,
    failure,
    ...recipeFacts(readable(() => run.recipe, '')),
    lastStep: step,
    lastEpoch: epoch,
    lastTimeMs: timeMs,
    ...mainScore((metric) => lastOf(epochs, metric)),
    problem: problems[0] ?? null,
  };
  return { entry, epochs };
}

function meetsFacts(entry: RunEntry, { states, name, method, dataset, since }: RunQuery): boolean {
  return (
    (states?.includes(entry.state) ?? true) &&
    (name === undefined || patternOf(name).test(entry.name)) &&
    (method === undefined || entry.method === method) &&
    (dataset === undefined || entry.dataset === dataset) &&
    (since === undefined || entry.startedAt >= since.toISOString())
  );
}

/** Only `*` is special. */
function patternOf(name: string): RegExp {
  const parts = name.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

/** The metric itself, or the networks of a group (`accuracy/resnet8-1` for `accuracy`), without the ensemble. */
function isNamed(name: string, metric: string): boolean {
  return name === metric || (name.startsWith(`${metric}/`) && name !== `${metric}/ensemble`);
}

function lastOf(epochs: readonly MetricRecord[], metric: string): number | null {
  const lastByName = new Map<string, number>();
  for (const { values } of epochs) {
    for (const [name, value] of Object.entries(values))
      if (isNamed(name, metric)) lastByName.set(name, value);
  }
  const values = [...lastByName.values()].filter((value) => !Number.isNaN(value));
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function bestOf(epochs: readonly MetricRecord[], { metric, comparison }: MetricCondition): number | null {
  const values = epochs.flatMap((record) =>
    Object.entries(record.values).flatMap(([name, value]) =>
      isNamed(name, metric) && !Number.isNaN(value) ? [value] : [],
    ),
  );
  if (values.length === 0) return null;
  return comparison.startsWith('>') ? Math.max(...values) : Math.min(...values);
}

function sortKey({ entry, epochs }: Candidate, sort: string): string | number | null {
  if (sort === 'name') return entry.name;
  if (sort === 'epochs') return entry.lastEpoch;
  if (sort === 'duration') return entry.lastTimeMs;
  return lastOf(epochs, sort);
}
