/** Metrics of several runs over one another. */
import { useMemo, useState } from 'preact/hooks';
import type { ComponentChildren, JSX } from 'preact';
import type { MetricEntry, RunRow, XAxis } from '../../src/api/types.ts';
import { api } from '../api/index.ts';
import { MetricChart, type Line } from '../charts/metricChart.tsx';
import type { Range } from '../charts/chartKeys.ts';
import { lookOf } from '../charts/palette.ts';
import { metricTitle } from '../parts/format.ts';
import { isReadable } from '../parts/state.tsx';
import { useLoaded } from '../state/load.ts';
import { link, listOf, query, setQuery } from '../state/location.ts';
import { isLoaded, newestFirst, rows } from '../state/runs.ts';

const DEFAULT_RUNS = 5;
const DEFAULT_METRICS = ['accuracy/ensemble', 'total', 'classification', 'learningRate'];
const AXES: readonly XAxis[] = ['epoch', 'step', 'time'];

/** The page. */
export function CurvesPage(): JSX.Element {
  const [highlighted, setHighlighted] = useState<string | null>(null);
  const asked = listOf('runs');
  const shown = useMemo(
    () =>
      (asked.length > 0
        ? asked.flatMap((id) => rows.value.get(id) ?? [])
        : newestFirst.value.slice(0, DEFAULT_RUNS)
      ).filter(isReadable),
    [asked.join(), rows.value],
  );
  const ids = shown.map(({ id }) => id);
  const { value: available } = useLoaded(ids.length === 0 ? null : ids.join(), () => metricsOf(ids));
  const chosen = listOf('metrics');
  const names = available === null ? [] : [...available.keys()];
  const metrics = chosen.length > 0 ? chosen : DEFAULT_METRICS.filter((name) => names.includes(name));
  const labels = labelsOf(shown);
  const settings = readSettings();
  if (!isLoaded.value) return <p class="hint">loading …</p>;
  if (shown.length === 0) {
    return (
      <p class="empty">
        No runs are selected. <a href={link('/')}>Select some in the table.</a>
      </p>
    );
  }
  return (
    <>
      <h1 class="hidden">Curves</h1>
      <ChartTools settings={settings}>
        <MetricChooser names={names} chosen={metrics} />
      </ChartTools>
      <ul class="run-legend" aria-label="Runs on the charts">
        {shown.map((row, index) => {
          const label = labels.get(row.id) ?? row.name;
          const { colour, dash } = lookOf(index);
          return (
            <li
              key={row.id}
              class={highlighted === label ? 'is-nearest' : ''}
              onMouseEnter={() => {
                setHighlighted(label);
              }}
              onMouseLeave={() => {
                setHighlighted(null);
              }}
            >
              <svg width="22" height="8" aria-hidden="true">
                <line
                  x1="0"
                  x2="22"
                  y1="4"
                  y2="4"
                  stroke={colour}
                  stroke-width="3"
                  stroke-dasharray={dash.join(' ')}
                />
              </svg>
              <a href={link(`/run/${row.id}`)}>{label}</a>
              <button
                type="button"
                class="quiet"
                aria-label={`Take ${label} out`}
                onClick={() => {
                  setQuery({ runs: ids.filter((id) => id !== row.id).join(',') });
                }}
              >
                ×
              </button>
            </li>
          );
        })}
      </ul>
      <div class={`chart-grid ${metrics.length === 1 ? 'is-single' : ''}`}>
        {metrics.map((metric) => {
          const kinds = available?.get(metric) ?? new Set(['epoch' as const]);
          const kind =
            settings.isEveryStep && kinds.has('step') ? 'step' : kinds.has('epoch') ? 'epoch' : 'step';
          const lines = shown.map((row, index): Line => ({
            run: row.id,
            metric,
            label: labels.get(row.id) ?? row.name,
            look: index,
          }));
          return (
            <section key={metric} class="card">
              <MetricChart
                {...{ lines, kind, highlighted }}
                title={metricTitle(metric)}
                x={settings.x}
                smooth={settings.smooth}
                xLog={settings.xLog}
                yLog={settings.yLog}
                height={metrics.length === 1 ? 460 : 260}
                range={settings.range}
                onZoom={setRange}
                onNearest={setHighlighted}
              />
            </section>
          );
        })}
      </div>
    </>
  );
}

interface CurveSettings {
  readonly x: XAxis;
  readonly smooth: number;
  readonly xLog: boolean;
  readonly yLog: boolean;
  readonly isEveryStep: boolean;
  readonly range: Range | null;
}

function readSettings(): CurveSettings {
  const get = (name: string): string | null => query.value.get(name);
  const [from = NaN, to = NaN] = (get('zoom') ?? '').split('..').map(Number);
  const smooth = Number(get('smooth') ?? 0);
  return {
    x: AXES.find((axis) => axis === get('x')) ?? 'epoch',
    smooth: smooth > 0 && smooth < 1 ? smooth : 0,
    xLog: get('xlog') === '1',
    yLog: get('ylog') === '1',
    isEveryStep: get('steps') === '1',
    range: to > from && (get('zoom') ?? '') !== '' ? [from, to] : null,
  };
}

function setRange(range: Range | null): void {
  const text = (value: number): string => String(Number(value.toPrecision(7)));
  setQuery({ zoom: range === null ? null : `${text(range[0])}..${text(range[1])}` });
}

function ChartTools({
  settings,
  children,
}: {
  settings: CurveSettings;
  children: ComponentChildren;
}): JSX.Element {
  const check = (name: string, label: string, isOn: boolean): JSX.Element => (
    <label class="check">
      <input
        type="checkbox"
        checked={isOn}
        onChange={(event) => {
          setQuery({ [name]: event.currentTarget.checked ? '1' : null });
        }}
      />
      {label}
    </label>
  );
  return (
    <div class="tools" role="toolbar" aria-label="Charts">
      {children}
      <label>
        by{' '}
        <select
          value={settings.x}
          onChange={(event) => {
            setQuery({ x: event.currentTarget.value, zoom: null });
          }}
        >
          <option value="epoch">epoch</option>
          <option value="step">step</option>
          <option value="time">wall time</option>
        </select>
      </label>
      <label class="slider">
        smoothing
        <input
          type="range"
          min="0"
          max="0.99"
          step="0.01"
          value={settings.smooth}
          onInput={(event) => {
            setQuery({ smooth: event.currentTarget.value === '0' ? null : event.currentTarget.value });
          }}
        />
        <output>{settings.smooth === 0 ? 'off' : settings.smooth.toFixed(2)}</output>
      </label>
      {check('steps', 'every step', settings.isEveryStep)}
      {check('xlog', 'log x', settings.xLog)}
      {check('ylog', 'log y', settings.yLog)}
      {settings.range !== null && (
        <button
          type="button"
          onClick={() => {
            setRange(null);
          }}
        >
          reset zoom
        </button>
      )}
      <span class="hint">drag to zoom, double-click to go back</span>
    </div>
  );
}

function MetricChooser({
  names,
  chosen,
}: {
  names: readonly string[];
  chosen: readonly string[];
}): JSX.Element {
  const [text, setText] = useState('');
  const groups = new Map<string, string[]>();
  for (const name of names.filter((each) => each.toLowerCase().includes(text.toLowerCase()))) {
    const group = name.includes('/') ? (name.split('/')[0] ?? '') : 'terms and rates';
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  return (
    <details class="chooser">
      <summary>
        metrics{' '}
        <small>
          {chosen.length} of {names.length}
        </small>
      </summary>
      <div class="chooser-panel">
        <input
          type="search"
          aria-label="Find a metric"
          placeholder="find a metric"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
          }}
        />
        <div class="chooser-lists">
          {[...groups].map(([group, inside]) => (
            <fieldset key={group}>
              <legend>{group}</legend>
              {inside.map((name) => (
                <label key={name} class="check">
                  <input
                    type="checkbox"
                    checked={chosen.includes(name)}
                    onChange={(event) => {
                      const others = chosen.filter((each) => each !== name);
                      setQuery({
                        metrics: (event.currentTarget.checked ? [...others, name] : others).join(','),
                      });
                    }}
                  />
                  {name}
                </label>
              ))}
            </fieldset>
          ))}
        </div>
      </div>
    </details>
  );
}

/** Metrics of all of the runs, with the kinds of record that have them. */
async function metricsOf(
  ids: readonly string[],
): Promise<ReadonlyMap<string, ReadonlySet<MetricEntry['kind']>>> {
  const lists = await Promise.all(ids.map((id) => api.metrics(id)));
  const all = new Map<string, Set<MetricEntry['kind']>>();
  for (const { metrics } of lists) {
    for (const { name, kind } of metrics) all.set(name, (all.get(name) ?? new Set()).add(kind));
  }
  return new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Names that tell the runs apart: with the seed, or the folder, where names alone do not. */
export function labelsOf(shown: readonly RunRow[]): ReadonlyMap<string, string> {
  const count = (label: (row: RunRow) => string, row: RunRow): number =>
    shown.filter((other) => label(other) === label(row)).length;
  const byName = (row: RunRow): string => row.name;
  const bySeed = (row: RunRow): string => `${row.name}, seed ${row.seed ?? '?'}`;
  return new Map(
    shown.map((row) => {
      if (count(byName, row) === 1) return [row.id, row.name];
      return [row.id, count(bySeed, row) === 1 ? bySeed(row) : row.folder];
    }),
  );
}
