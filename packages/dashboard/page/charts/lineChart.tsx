/** Lines over one another, drawn by uPlot: dragging zooms, hovering or the arrow keys read all lines, a double click goes back. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatNumber, formatTick } from '../parts/format.ts';
import { isDark } from '../state/theme.ts';
import { ChartMenu } from './chartMenu.tsx';
import { TipBox, tipAt, type Tip } from './chartTip.tsx';
import { align, type DrawnSeries, type Rule } from './drawn.ts';
import type { chartSvg } from './exportChart.ts';
import { handleChartKey, type Range } from './chartKeys.ts';
import { Legend } from './legend.tsx';
import { alphaOf, axesOf, drawRules, paddedWith, scaleKind, strokeOf } from './plotStyle.ts';

interface LineChartProps {
  readonly title: string;
  readonly xLabel: string;
  readonly series: readonly DrawnSeries[];
  readonly rules?: readonly Rule[];
  readonly height: number;
  readonly xLog?: boolean;
  readonly yLog?: boolean;
  readonly format?: (value: number) => string;
  /** Of the vertical axis. */
  readonly tick?: (value: number) => string;
  /** Null shows everything. */
  readonly range?: Range | null;
  readonly onZoom?: (range: Range | null) => void;
  /** Called with the label of the line that is nearest to the pointer. */
  readonly onNearest?: (label: string | null) => void;
  /** Whether lines are named below the chart; they are on hover in any case. */
  readonly hasLegend?: boolean;
}

/** The chart with its title, its legend and its menu. */
export function LineChart(props: LineChartProps): JSX.Element {
  const { title, xLabel, series, height, rules = [], xLog = false, yLog = false, range = null } = props;
  const format = props.format ?? formatNumber;
  const tick = props.tick ?? ((value: number): string => formatTick('', value));
  const frame = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [tip, setTip] = useState<Tip | null>(null);
  const dark = isDark.value;
  const aligned = useMemo(() => align(series, yLog), [series, yLog]);
  const shape = aligned.parts
    .map(({ series: from, isSmooth }) => `${from}${isSmooth}${series[from]?.look.colour}`)
    .join();

  useEffect(() => {
    const element = frame.current;
    if (element === null) return undefined;
    const plot = new uPlot(
      {
        width: Math.max(120, element.clientWidth),
        height,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 }, y: false },
        scales: {
          x: { time: false, ...scaleKind(xLog) },
          y: { ...scaleKind(yLog), ...(yLog ? {} : { range: paddedWith(rules) }) },
        },
        axes: axesOf(dark, tick, xLog, yLog),
        series: [{}, ...aligned.parts.map((part) => strokeOf(part, aligned.parts, series))],
        hooks: {
          draw: [
            (u) => {
              drawRules(u, rules, dark, series);
            },
          ],
          setSelect: [
            (u) => {
              const { left, width } = u.select;
              if (width < 4) return;
              latest.current.onZoom?.([u.posToVal(left, 'x'), u.posToVal(left + width, 'x')]);
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
          setCursor: [
            (u) => {
              const { left = -1 } = u.cursor;
              const next = left < 0 ? null : tipAt(u, latest.current.series, left);
              setTip(next);
              latest.current.onNearest?.(next?.nearest ?? null);
            },
          ],
        },
      },
      aligned.data,
      element,
    );
    plot.over.addEventListener('dblclick', () => latest.current.onZoom?.(null));
    chart.current = plot;
    if (range !== null) plot.setScale('x', { min: range[0], max: range[1] });
    const observer = new ResizeObserver(() => {
      const width = Math.max(120, element.clientWidth);
      if (width !== plot.width) plot.setSize({ width, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
      chart.current = null;
    };
    // A new plot only where its shape is another; new data alone are set below.
  }, [shape, dark, xLog, yLog, height, rules.map(({ value }) => value).join()]);

  useEffect(() => {
    const plot = chart.current;
    if (plot === null) return;
    plot.setData(aligned.data, range === null);
    if (range !== null) plot.setScale('x', { min: range[0], max: range[1] });
  }, [aligned, range?.[0], range?.[1]]);

  const muted = series.map(({ isMuted }) => (isMuted === true ? '1' : '0')).join('');
  useEffect(() => {
    const plot = chart.current;
    if (plot === null) return;
    // Set on the plot at hand: a new one would lose the pointer that has caused this.
    const changed = aligned.parts.flatMap((part, index) => {
      const drawn = plot.series[index + 1];
      const alpha = alphaOf(part, aligned.parts, series);
      return drawn === undefined || drawn.alpha === alpha ? [] : [{ drawn, alpha }];
    });
    for (const { drawn, alpha } of changed) drawn.alpha = alpha;
    if (changed.length > 0) plot.redraw(false);
  }, [muted, aligned]);

  const picture = (): Parameters<typeof chartSvg>[0] => {
    const scale = (name: string): Range => {
      const { min = 0, max = 1 } = chart.current?.scales[name] ?? {};
      return [min, max];
    };
    return {
      title,
      xLabel,
      series,
      rules,
      xLog,
      yLog,
      format: tick,
      isDark: dark,
      xRange: scale('x'),
      yRange: scale('y'),
    };
  };

  return (
    <figure class="chart" aria-label={`${title}, by ${xLabel}`}>
      <figcaption>
        <span class="chart-title">{title}</span>
        {range !== null && (
          <button type="button" class="quiet" onClick={() => props.onZoom?.(null)}>
            reset zoom
          </button>
        )}
        <ChartMenu title={title} picture={picture} />
      </figcaption>
      <div
        ref={frame}
        class="chart-frame"
        tabIndex={0}
        role="application"
        aria-roledescription="chart"
        aria-label={`${title}: ${series.length} lines. Arrow keys read values, plus and minus zoom, Escape shows all.`}
        onKeyDown={(event) => {
          const plot = chart.current;
          if (plot !== null && handleChartKey(plot, event.key, latest.current.onZoom)) event.preventDefault();
        }}
      >
        {tip !== null && <TipBox tip={tip} xLabel={xLabel} format={format} />}
      </div>
      {props.hasLegend === true && <Legend series={series} />}
    </figure>
  );
}
