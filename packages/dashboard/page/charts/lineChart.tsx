/** Lines over one another, drawn by uPlot: dragging zooms, hovering or the arrow keys read all lines, a double click goes back. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatNumber, formatTick } from '../parts/format.ts';
import { isDark } from '../state/theme.ts';
import { align, nearest, type Aligned, type DrawnSeries, type Rule } from './drawn.ts';
import { chartCsv, chartSvg, download, svgToPng } from './exportChart.ts';
import { logTicks } from './ticks.ts';

/** Range of the horizontal axis. */
export type Range = readonly [number, number];

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
  /** Told the label of the line that is nearest to the pointer. */
  readonly onNearest?: (label: string | null) => void;
  /** Whether lines are named below the chart; they are on hover in any case. */
  readonly hasLegend?: boolean;
}

type Part = Aligned['parts'][number];

/** How far an arrow key moves, as a share of the range. */
const KEY_STEP = 0.02;
const MOST_IN_TIP = 14;
/** How far beyond the end of a line its last value is still told, as a share of the range. */
const TIP_REACH = 0.02;

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
          if (plot !== null && onKey(plot, event.key, latest.current.onZoom)) event.preventDefault();
        }}
      >
        {tip !== null && <TipBox tip={tip} xLabel={xLabel} format={format} />}
      </div>
      {props.hasLegend === true && <Legend series={series} />}
    </figure>
  );
}

interface Tip {
  readonly x: number;
  readonly left: number;
  readonly isRight: boolean;
  readonly nearest: string | null;
  readonly values: readonly {
    readonly label: string;
    readonly colour: string;
    readonly value: number;
    readonly high: number;
  }[];
}

function tipAt(plot: uPlot, series: readonly DrawnSeries[], left: number): Tip {
  const x = plot.posToVal(left, 'x');
  const pointer = plot.cursor.top ?? -1;
  let best = Infinity;
  let nearestLabel: string | null = null;
  let at = x;
  const values = series.flatMap(({ label, look, data }) => {
    const index = nearest(data.x, x);
    const value = (data.smooth.length > 0 ? data.smooth : data.low)[index] ?? NaN;
    if (index < 0 || !Number.isFinite(value)) return [];
    // Beyond its ends a run says nothing; between two points that are far apart it does.
    const beyond = Math.max(x - (data.x.at(-1) ?? x), (data.x[0] ?? x) - x);
    if (beyond > (plot.posToVal(plot.over.clientWidth, 'x') - plot.posToVal(0, 'x')) * TIP_REACH) return [];
    const distance = Math.abs(plot.valToPos(value, 'y') - pointer);
    if (pointer >= 0 && distance < best) {
      best = distance;
      nearestLabel = label;
      at = data.x[index] ?? x;
    } else if (nearestLabel === null) {
      at = data.x[index] ?? x;
    }
    const high = data.smooth.length > 0 ? value : (data.high[index] ?? value);
    return [{ label, colour: look.colour, value, high }];
  });
  values.sort((a, b) => b.value - a.value);
  return { x: at, left, isRight: left > plot.over.clientWidth / 2, nearest: nearestLabel, values };
}

function TipBox({
  tip,
  xLabel,
  format,
}: {
  tip: Tip;
  xLabel: string;
  format: (value: number) => string;
}): JSX.Element {
  const shown = tip.values.slice(0, MOST_IN_TIP);
  return (
    <div class={`chart-tip ${tip.isRight ? 'to-left' : 'to-right'}`} role="status">
      <div class="chart-tip-x">
        {xLabel} {formatNumber(tip.x)}
      </div>
      {shown.map(({ label, colour, value, high }) => (
        <div key={label} class={label === tip.nearest ? 'is-nearest' : ''}>
          <i style={{ background: colour }} />
          <span>{label}</span>
          <b>{high === value ? format(value) : `${format(value)} … ${format(high)}`}</b>
        </div>
      ))}
      {tip.values.length > shown.length && <div>and {tip.values.length - shown.length} more</div>}
    </div>
  );
}

function Legend({ series }: { series: readonly DrawnSeries[] }): JSX.Element {
  return (
    <ul class="legend">
      {series.map(({ label, look }) => (
        <li key={label}>
          <svg width="22" height="8" aria-hidden="true">
            <line
              x1="0"
              x2="22"
              y1="4"
              y2="4"
              stroke={look.colour}
              stroke-width="2.5"
              stroke-dasharray={look.dash.join(' ')}
            />
          </svg>
          {label}
        </li>
      ))}
    </ul>
  );
}

function ChartMenu({
  title,
  picture,
}: {
  title: string;
  picture: () => Parameters<typeof chartSvg>[0];
}): JSX.Element {
  const name = title.replaceAll(/[^\w.-]+/g, '-');
  return (
    <span class="chart-menu" role="group" aria-label={`Save ${title}`}>
      <button
        type="button"
        class="quiet"
        title="Save as SVG"
        onClick={() => {
          download(`${name}.svg`, new Blob([chartSvg(picture())], { type: 'image/svg+xml' }));
        }}
      >
        SVG
      </button>
      <button
        type="button"
        class="quiet"
        title="Save as PNG"
        onClick={() => {
          void svgToPng(chartSvg(picture())).then((blob) => {
            download(`${name}.png`, blob);
          });
        }}
      >
        PNG
      </button>
      <button
        type="button"
        class="quiet"
        title="Save the points as CSV"
        onClick={() => {
          download(`${name}.csv`, new Blob([chartCsv(picture())], { type: 'text/csv' }));
        }}
      >
        CSV
      </button>
    </span>
  );
}

function onKey(plot: uPlot, key: string, onZoom: LineChartProps['onZoom']): boolean {
  const { min = 0, max = 1 } = plot.scales.x ?? {};
  const [from, to] = [min, max];
  const width = plot.over.clientWidth;
  const left = (plot.cursor.left ?? -1) < 0 ? width / 2 : (plot.cursor.left ?? 0);
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowRight': {
      const next = Math.min(width, Math.max(0, left + (key === 'ArrowLeft' ? -1 : 1) * width * KEY_STEP));
      plot.setCursor({ left: next, top: plot.over.clientHeight / 2 });
      return true;
    }
    case '+':
    case '=':
    case '-': {
      const middle = plot.posToVal(left, 'x');
      const factor = key === '-' ? 2 : 0.5;
      onZoom?.([middle - (middle - from) * factor, middle + (to - middle) * factor]);
      return true;
    }
    case 'Escape':
      plot.setCursor({ left: -10, top: -10 });
      onZoom?.(null);
      return true;
    default:
      return false;
  }
}

function strokeOf(
  { series: index, isSmooth }: { series: number; isSmooth: boolean },
  parts: readonly { series: number; isSmooth: boolean }[],
  series: readonly DrawnSeries[],
): uPlot.Series {
  const drawn = series[index];
  const colour = drawn?.look.colour ?? '#888888';
  const hasSmooth = !isSmooth && parts.some((part) => part.series === index && part.isSmooth);
  const alpha = alphaOf({ series: index, isSmooth }, parts, series);
  const points = drawn?.data.x.length ?? 0;
  return {
    stroke: colour,
    alpha,
    width: hasSmooth ? 1 : 1.75,
    dash: hasSmooth ? [] : [...(drawn?.look.dash ?? [])],
    spanGaps: true,
    points: { show: !isSmooth && !hasSmooth && points <= 60, size: points <= 20 ? 5 : 3.5, fill: colour },
  };
}

function axesOf(dark: boolean, tick: (value: number) => string, xLog: boolean, yLog: boolean): uPlot.Axis[] {
  const stroke = dark ? '#9aa4b2' : '#5b6470';
  const grid = { stroke: dark ? '#252c35' : '#e8ebef', width: 1 };
  const font = '11px system-ui, sans-serif';
  const logarithmic = {
    splits: (u: uPlot, axis: number): number[] => {
      const { min, max } = u.scales[axis === 0 ? 'x' : 'y'] ?? {};
      return logTicks(Math.max(min ?? 1, 1e-12), max ?? 10);
    },
    filter: (_: uPlot, splits: number[]): number[] => splits,
  };
  return [
    {
      ...{ stroke, grid: { ...grid, show: false }, font, size: 28, ticks: { ...grid, size: 4 } },
      values: (_, splits) => splits.map((value) => (Number.isFinite(value) ? formatTick('', value) : '')),
      ...(xLog ? logarithmic : {}),
    },
    {
      ...{ stroke, grid, font, size: 58, ticks: { show: false } },
      values: (_, splits) => splits.map((value) => (Number.isFinite(value) ? tick(value) : '')),
      ...(yLog ? logarithmic : {}),
    },
  ];
}

/** How strong a line is: raw values are faint beside their average, and all others while one is pointed at. */
function alphaOf(
  { series: index, isSmooth }: Part,
  parts: readonly Part[],
  series: readonly DrawnSeries[],
): number {
  if (series[index]?.isMuted === true) return isSmooth ? 0.35 : 0.25;
  return !isSmooth && parts.some((part) => part.series === index && part.isSmooth) ? 0.3 : 1;
}

/** uPlot's numbers of a linear and a logarithmic scale; it declares them in a way that only its own build can read. */
function scaleKind(isLog: boolean): uPlot.Scale {
  return Object.fromEntries([['distr', isLog ? 3 : 1]]);
}

/** The range of the values and the rules, with some room. */
function paddedWith(rules: readonly Rule[]): uPlot.Range.Function {
  return (_, low, high) => {
    const bounds = [low, high, ...rules.map(({ value }) => value)].filter((value) => Number.isFinite(value));
    if (bounds.length === 0) return [0, 1];
    const [least, most] = [Math.min(...bounds), Math.max(...bounds)];
    const pad = (most - least || Math.abs(most) || 1) * 0.06;
    return [least - pad, most + pad];
  };
}

function drawRules(plot: uPlot, rules: readonly Rule[], dark: boolean, series: readonly DrawnSeries[]): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = dark ? '#c3cad4' : '#4a525c';
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  for (const { value, label } of rules) {
    const y = plot.valToPos(value, 'y', true);
    if (y < top || y > top + height) continue;
    ctx.setLineDash([3 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.fillText(label, left + 6 * devicePixelRatio, y - 4 * devicePixelRatio);
  }
  if (series.length === 0) {
    ctx.textAlign = 'center';
    ctx.fillText('nothing recorded', left + width / 2, top + height / 2);
  }
  ctx.restore();
}
