/** The columns of the table of runs: how each is named, sorted and shown. */
import type { ComponentChildren, JSX } from 'preact';
import type { RunRow } from '../../../src/api/types.ts';
import {
  formatDuration,
  formatMetric,
  formatNetworks,
  formatNumber,
  formatResult,
  formatShortTime,
  formatTime,
  metricTitle,
  numberOf,
  scoreNote,
} from '../../parts/format.ts';
import { meanInterval } from '../../parts/statistics.ts';
import { Spark } from '../../parts/spark.tsx';
import { isReadable, State } from '../../parts/state.tsx';
import { link } from '../../state/location.ts';
import type { Columns } from '../../api/index.ts';

/** One column. */
export interface TableColumn {
  readonly key: string;
  readonly title: string;
  /** Said when the title is pointed at. */
  readonly hint?: string;
  readonly isNumber?: boolean;
  /** Stays on a narrow screen. */
  readonly isNarrow?: boolean;
  readonly sort: (row: RunRow) => string | number | null;
  readonly cell: (row: RunRow) => ComponentChildren;
  /** What a group shows; nothing unless given. */
  readonly group?: (rows: readonly RunRow[]) => ComponentChildren;
}

/** Columns of the table: the usual ones, then those that were chosen. */
export function tableColumns(chosen: Columns, isNarrow: boolean): TableColumn[] {
  return [
    {
      key: 'name',
      title: 'run',
      isNarrow: true,
      sort: (row) => row.name,
      cell: (row) => <Name row={row} hasSign={isNarrow} />,
    },
    { key: 'state', title: 'state', sort: (row) => row.state, cell: (row) => <State row={row} /> },
    text('method', 'method', (row) => row.method),
    text('dataset', 'dataset', (row) => row.dataset),
    text('networks', 'networks', (row) => formatNetworks(row.networks)),
    {
      key: 'seed',
      title: 'seed',
      isNumber: true,
      sort: (row) => row.seed,
      cell: (row) => row.seed,
      group: (rows) => plural(new Set(rows.map(({ seed }) => seed)).size, 'seed'),
    },
    {
      key: 'epoch',
      title: 'epochs',
      isNumber: true,
      sort: (row) => row.epoch,
      cell: (row) => <Progress row={row} />,
    },
    metric('accuracy', 'last', 'accuracy', 'Mean test accuracy of the networks at the last epoch; AP or mean IoU for other tasks', true),
    metric('accuracy', 'best', 'best', 'Its best over the epochs', false),
    metric('accuracy/ensemble', 'last', 'ensemble', 'Test accuracy of the ensemble at the last epoch', false),
    {
      key: 'trend',
      title: 'trend',
      isNarrow: true,
      sort: (row) => row.trend.at(-1) ?? null,
      cell: (row) => <Spark values={row.trend} />,
    },
    metric('total', 'last', 'loss', 'Weighted sum of the loss terms at the last epoch', false),
    {
      key: 'seconds',
      title: 'took',
      isNumber: true,
      sort: (row) => row.seconds,
      cell: (row) => formatDuration(row.seconds),
      group: (rows) => formatDuration(rows.reduce((sum, { seconds }) => sum + seconds, 0)),
    },
    {
      key: 'startedAt',
      title: 'started',
      isNumber: true,
      sort: (row) => row.startedAt,
      cell: (row) => <time title={formatTime(row.startedAt)}>{formatShortTime(row.startedAt)}</time>,
    },
    {
      key: 'tags',
      title: 'tags',
      sort: (row) => row.tags.join(' '),
      cell: (row) =>
        row.tags.map((tag) => (
          <span key={tag} class="tag">
            {tag}
          </span>
        )),
    },
    ...chosen.metrics.flatMap((name) => [
      metric(name, 'last', metricTitle(name), `${name} at the last epoch`, false),
      metric(name, 'best', 'best', `Best ${name} over the epochs`, false),
    ]),
    ...chosen.settings.map(setting),
  ];
}

/** `1 run`, `2 runs`. */
export function plural(count: number, word: string): string {
  return `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;
}

function text(key: string, title: string, value: (row: RunRow) => string | null): TableColumn {
  return {
    key,
    title,
    sort: value,
    cell: value,
    group: (rows) => {
      const values = new Set(rows.map(value));
      return values.size === 1 ? [...values][0] : `${values.size} kinds`;
    },
  };
}

/** Columns that another score takes, where a run is not about whole images. */
const SCORES: ReadonlySet<string> = new Set(['accuracy', 'accuracy/ensemble']);

function metric(
  name: string,
  which: 'last' | 'best',
  title: string,
  hint: string,
  isNarrow: boolean,
): TableColumn {
  const value = (row: RunRow): number | null => {
    const result = row.results[name];
    return result === undefined ? null : numberOf(result[which]);
  };
  return {
    key: `${name}:${which}`,
    ...{ title, hint, isNarrow },
    isNumber: true,
    sort: value,
    cell: (row) => {
      const shown = formatResult(name, row.results[name], which);
      const note = shown !== '' && SCORES.has(name) ? scoreNote(row) : '';
      return note === '' ? shown : [shown, <small key="score"> {note}</small>];
    },
    group: (rows) => {
      const interval = meanInterval(rows.flatMap((row) => value(row) ?? []));
      if (interval === null) return null;
      const { mean, halfWidth } = interval;
      return (
        <span title={`mean of ${interval.count}, with the 95% interval over runs`}>
          {formatMetric(name, mean)}
          {halfWidth !== null && <small> ±{formatMetric(name, halfWidth).replace('%', '')}</small>}
        </span>
      );
    },
  };
}

function setting(key: string): TableColumn {
  const value = (row: RunRow): string | number | null => {
    const found = row.settings[key] ?? null;
    return typeof found === 'boolean' ? String(found) : found;
  };
  return {
    key: `setting:${key}`,
    title: key.split('.').slice(-2).join('.'),
    hint: key,
    sort: value,
    cell: (row) => {
      const found = value(row);
      return typeof found === 'number' ? formatNumber(found) : found;
    },
  };
}

function Name({ row, hasSign }: { row: RunRow; hasSign: boolean }): JSX.Element {
  if (!isReadable(row)) {
    return (
      <span class="row-name">
        <span>{row.folder}</span>
        <small class="problem-text">{row.problem}</small>
      </span>
    );
  }
  return (
    <a class="row-name" href={link(`/run/${row.id}`)} title={row.note === '' ? row.folder : row.note}>
      {hasSign && <State row={row} isShort />}
      {row.name}
      {row.note !== '' && <small aria-label="has a note"> ✎</small>}
    </a>
  );
}

function Progress({ row }: { row: RunRow }): JSX.Element {
  const share = row.epochs === null || row.epochs === 0 ? 0 : Math.min(1, row.epoch / row.epochs);
  return (
    <span class="progress">
      {row.state === 'running' && <progress max={1} value={share} aria-label="share of the epochs done" />}
      {row.epochs === null ? row.epoch : `${row.epoch}/${row.epochs}`}
    </span>
  );
}

/** Orders rows by a column; rows without a value come last either way. */
export function sorted(rows: readonly RunRow[], column: TableColumn, isDescending: boolean): RunRow[] {
  const keyed = rows.map((row) => ({ row, key: column.sort(row) }));
  keyed.sort((a, b) => {
    const isMissing = (key: string | number | null): boolean =>
      key === null || key === '' || Number.isNaN(key);
    if (isMissing(a.key) || isMissing(b.key)) return Number(isMissing(a.key)) - Number(isMissing(b.key));
    const order =
      typeof a.key === 'number' && typeof b.key === 'number'
        ? a.key - b.key
        : String(a.key).localeCompare(String(b.key), 'en', { numeric: true });
    return isDescending ? -order : order;
  });
  return keyed.map(({ row }) => row);
}
