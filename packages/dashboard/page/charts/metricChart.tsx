/** A chart of metrics of runs: it asks for what its width and zoom can show, and again when a run has changed. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { XAxis } from '../../src/api/types.ts';
import { api } from '../api/index.ts';
import { formatMetric, formatTick } from '../parts/format.ts';
import { useLoaded } from '../state/load.ts';
import { changeOf } from '../state/runs.ts';
import type { DrawnSeries, Rule } from './drawn.ts';
import type { Range } from './chartKeys.ts';
import { LineChart } from './lineChart.tsx';
import { lookOf } from './palette.ts';

/** One line: a metric of a run. */
export interface Line {
  readonly run: string;
  readonly metric: string;
  readonly label: string;
  /** Place in the palette. */
  readonly look: number;
}

interface MetricChartProps {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly kind: 'step' | 'epoch';
  readonly x: XAxis;
  readonly smooth?: number;
  readonly xLog?: boolean;
  readonly yLog?: boolean;
  readonly height?: number;
  readonly rules?: readonly Rule[];
  readonly hasLegend?: boolean;
  readonly range?: Range | null;
  readonly onZoom?: (range: Range | null) => void;
  readonly highlighted?: string | null;
  readonly onNearest?: (label: string | null) => void;
}

const AXIS_WORDS: Readonly<Record<XAxis, string>> = { step: 'step', epoch: 'epoch', time: 'seconds' };
/** A live run changes often; one chart asks at most so often. */
const EVERY_MS = 1000;
/** While a sample is shown the rest is asked for. */
const AGAIN_MS = 500;

/** The chart; its zoom is its own unless it is given one. */
export function MetricChart(props: MetricChartProps): JSX.Element {
  const {
    title,
    lines,
    kind,
    x,
    smooth = 0,
    xLog = false,
    yLog = false,
    height = 200,
    highlighted = null,
  } = props;
  const [ownRange, setOwnRange] = useState<Range | null>(null);
  const range = props.range === undefined ? ownRange : props.range;
  const runs = [...new Set(lines.map(({ run }) => run))];
  const metrics = [...new Set(lines.map(({ metric }) => metric))];
  const version = useThrottled(runs.map((run) => `${run}:${changeOf(run)}`).join());
  const [again, setAgain] = useState(0);
  const key = JSON.stringify([lines, kind, x, smooth, xLog, range, version, again]);
  const { value, error, isLoading } = useLoaded(lines.length === 0 ? null : key, () =>
    api.series({
      ...{ runs, metrics, kind, x, smooth, logarithmic: xLog },
      points: lines.length > 8 ? 400 : 800,
      ...(range === null ? {} : { from: range[0], to: range[1] }),
    }),
  );
  const isPreview = value?.series.some(({ preview }) => preview) ?? false;
  useEffect(() => {
    if (!isPreview) return undefined;
    const timer = setTimeout(() => {
      setAgain((count) => count + 1);
    }, AGAIN_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [value]);
  const drawn = useMemo(
    () =>
      lines.flatMap((line): DrawnSeries[] => {
        const data = value?.series.find(({ run, metric }) => run === line.run && metric === line.metric);
        if (data === undefined) return [];
        const isMuted = highlighted !== null && highlighted !== line.label;
        return [{ label: line.label, look: lookOf(line.look), data, isMuted }];
      }),
    [value, highlighted, JSON.stringify(lines), lookOf(0).colour],
  );
  const notFinite = value?.series.reduce((sum, each) => sum + each.notFinite.length, 0) ?? 0;
  const [metric = ''] = metrics;
  return (
    <div class={`metric-chart ${isLoading ? 'is-loading' : ''}`}>
      <LineChart
        {...{ title, height, xLog, yLog, range, series: drawn }}
        xLabel={AXIS_WORDS[x]}
        format={(number) => formatMetric(metric, number)}
        tick={(number) => formatTick(metric, number)}
        onZoom={props.onZoom ?? setOwnRange}
        {...(props.rules === undefined ? {} : { rules: props.rules })}
        {...(props.onNearest === undefined ? {} : { onNearest: props.onNearest })}
        {...(props.hasLegend === undefined ? {} : { hasLegend: props.hasLegend })}
      />
      {error !== null && <p class="problem">{error}</p>}
      {isPreview && <p class="hint">A sample of a long log, which is still being read.</p>}
      {notFinite > 0 && (
        <p class="hint">
          {notFinite >= 100 ? 'At least 100' : notFinite} values here are not finite and cannot be drawn.
        </p>
      )}
    </div>
  );
}

/** A value that changes at most once in a while, and ends up at the newest. */
function useThrottled(value: string): string {
  const [shown, setShown] = useState(value);
  const changedAt = useRef(-Infinity);
  useEffect(() => {
    if (value === shown) return undefined;
    const wait = Math.max(0, changedAt.current + EVERY_MS - performance.now());
    const timer = setTimeout(() => {
      changedAt.current = performance.now();
      setShown(value);
    }, wait);
    return () => {
      clearTimeout(timer);
    };
  }, [value, shown]);
  return shown;
}
