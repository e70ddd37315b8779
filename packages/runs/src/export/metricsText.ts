/** Metrics of runs as text for other programs: JSON Lines as the run folder has them, and a CSV table that spreadsheets open. */
import { basename } from 'node:path';
import type { MetricRecord } from '../metrics.ts';
import { encodeMetric } from '../metrics.ts';
import type { RunReader } from '../reader.ts';

/** What to export; what is left out does not restrict. */
export interface ExportFilter {
  readonly kind?: MetricRecord['kind'];
  /** Names, or groups of them (`accuracy` for `accuracy/resnet8-1`). */
  readonly metrics?: readonly string[];
}

/**
 * One JSON object a line, as in `metrics.jsonl`; where there are several runs each line begins with `run`, the folder's name.
 * @throws RunError for a run that cannot be read
 */
export function* jsonLines(runs: readonly RunReader[], filter: ExportFilter = {}): Generator<string> {
  for (const { run, record } of records(runs, filter)) {
    const line = encodeMetric(record, run.path);
    yield runs.length === 1 ? line : `{"run":${JSON.stringify(basename(run.path))},${line.slice(1)}`;
  }
}

/**
 * A table (RFC 4180): kind, step, epoch, timeMs and a column for every metric, in the order in which they come up; empty
 * where a record has none. Where there are several runs the first column is `run`.
 * @throws RunError for a run that cannot be read
 */
export function* csvLines(runs: readonly RunReader[], filter: ExportFilter = {}): Generator<string> {
  const names = new Set<string>();
  // Twice over the files: the heading needs every name, and the records may not fit into memory.
  for (const { record } of records(runs, filter))
    for (const name of Object.keys(record.values)) names.add(name);
  const isOne = runs.length === 1;
  yield csvLine([...(isOne ? [] : ['run']), 'kind', 'step', 'epoch', 'timeMs', ...names]);
  for (const { run, record } of records(runs, filter)) {
    const { kind, step, epoch, timeMs, values } = record;
    const cells = [...names].map((name) => (Object.hasOwn(values, name) ? (values[name] ?? '') : ''));
    yield csvLine([...(isOne ? [] : [basename(run.path)]), kind, step, epoch, timeMs, ...cells]);
  }
}

function* records(
  runs: readonly RunReader[],
  { kind, metrics }: ExportFilter,
): Generator<{ run: RunReader; record: MetricRecord }> {
  const isWanted = (name: string): boolean =>
    metrics?.some((wanted) => name === wanted || name.startsWith(`${wanted}/`)) ?? true;
  for (const run of runs) {
    for (const record of run.metrics(kind === undefined ? {} : { kind })) {
      const values = Object.fromEntries(Object.entries(record.values).filter(([name]) => isWanted(name)));
      if (metrics === undefined || Object.keys(values).length > 0)
        yield { run, record: { ...record, values } };
    }
  }
}

function csvLine(cells: readonly (string | number)[]): string {
  const quoted = cells
    .map(String)
    .map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell));
  return `${quoted.join(',')}\n`;
}
