/** A chart as SVG, PNG and CSV. The SVG is drawn anew, so that it is sharp at any size and needs no page around it. */
import { formatNumber } from '../parts/format.ts';
import type { DrawnSeries, Rule } from './drawn.ts';
import { logTicks, ticks } from './ticks.ts';

/** What is on a chart. */
export interface ChartPicture {
  readonly title: string;
  readonly xLabel: string;
  readonly series: readonly DrawnSeries[];
  readonly rules: readonly Rule[];
  readonly xRange: readonly [number, number];
  readonly yRange: readonly [number, number];
  readonly xLog: boolean;
  readonly yLog: boolean;
  readonly format: (value: number) => string;
  readonly isDark: boolean;
}

const WIDTH = 800;
const PLOT_HEIGHT = 400;
const MARGIN = { left: 72, right: 20, top: 40, bottom: 44 };
const LEGEND_LINE = 20;

/** The chart as the text of an SVG file. */
export function chartSvg(chart: ChartPicture): string {
  const ink = chart.isDark ? '#e6e9ee' : '#1c2127';
  const faint = chart.isDark ? '#39424e' : '#d5dae0';
  const paper = chart.isDark ? '#14181d' : '#ffffff';
  const height = MARGIN.top + PLOT_HEIGHT + MARGIN.bottom + LEGEND_LINE * chart.series.length + 10;
  const x = scaleOf(chart.xRange, chart.xLog, MARGIN.left, WIDTH - MARGIN.right);
  const y = scaleOf(chart.yRange, chart.yLog, MARGIN.top + PLOT_HEIGHT, MARGIN.top);
  const bottom = MARGIN.top + PLOT_HEIGHT;
  const xTicks = chart.xLog ? logTicks(...chart.xRange) : ticks(...chart.xRange, 8);
  const yTicks = chart.yLog ? logTicks(...chart.yRange) : ticks(...chart.yRange, 6);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="${ink}">`,
    `<rect width="${WIDTH}" height="${height}" fill="${paper}"/>`,
    `<text x="${MARGIN.left}" y="24" font-size="15" font-weight="600">${escape(chart.title)}</text>`,
    `<clipPath id="plot"><rect x="${MARGIN.left}" y="${MARGIN.top}" width="${WIDTH - MARGIN.left - MARGIN.right}" height="${PLOT_HEIGHT}"/></clipPath>`,
    ...yTicks.flatMap((value) => [
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${fixed(y(value))}" y2="${fixed(y(value))}" stroke="${faint}"/>`,
      `<text x="${MARGIN.left - 8}" y="${fixed(y(value) + 4)}" text-anchor="end">${escape(chart.format(value))}</text>`,
    ]),
    ...xTicks.map(
      (value) =>
        `<text x="${fixed(x(value))}" y="${bottom + 18}" text-anchor="middle">${escape(formatNumber(value))}</text>`,
    ),
    `<text x="${WIDTH - MARGIN.right}" y="${bottom + 36}" text-anchor="end">${escape(chart.xLabel)}</text>`,
    '<g clip-path="url(#plot)" fill="none" stroke-linejoin="round">',
    ...chart.rules.map(
      ({ value }) =>
        `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${fixed(y(value))}" y2="${fixed(y(value))}" stroke="${ink}" stroke-dasharray="2 4"/>`,
    ),
    ...chart.series.flatMap((series) => linesOf(series, x, y)),
    '</g>',
    ...chart.series.map(({ label, look }, index) => {
      const at = bottom + MARGIN.bottom + LEGEND_LINE * index + 8;
      return `<line x1="${MARGIN.left}" x2="${MARGIN.left + 24}" y1="${at}" y2="${at}" stroke="${look.colour}" stroke-width="2.5" stroke-dasharray="${look.dash.join(' ')}"/><text x="${MARGIN.left + 32}" y="${at + 4}">${escape(label)}</text>`;
    }),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

function linesOf(
  { data, look }: DrawnSeries,
  x: (value: number) => number,
  y: (value: number) => number,
): string[] {
  const line = (values: readonly number[], width: number, opacity: number): string => {
    const points = data.x.flatMap((place, index) => {
      const value = values[index] ?? NaN;
      const [left, top] = [x(place), y(value)];
      return Number.isFinite(left) && Number.isFinite(top) ? [`${fixed(left)},${fixed(top)}`] : [];
    });
    return `<polyline points="${points.join(' ')}" stroke="${look.colour}" stroke-width="${width}" stroke-opacity="${opacity}" stroke-dasharray="${look.dash.join(' ')}"/>`;
  };
  const hasSmooth = data.smooth.length > 0;
  const raw = data.exact
    ? [line(data.low, hasSmooth ? 1 : 2, hasSmooth ? 0.35 : 1)]
    : [bandOf({ data, look }, x, y, hasSmooth)];
  return [...raw, ...(hasSmooth ? [line(data.smooth, 2, 1)] : [])];
}

function bandOf(
  { data, look }: Pick<DrawnSeries, 'data' | 'look'>,
  x: (value: number) => number,
  y: (value: number) => number,
  isFaint: boolean,
): string {
  const strokes = data.x.flatMap((place, index) => {
    const [left, low, high] = [x(place), y(data.low[index] ?? NaN), y(data.high[index] ?? NaN)];
    if (!Number.isFinite(left + low + high)) return [];
    return [`${index === 0 ? 'M' : 'L'}${fixed(left)},${fixed(low)}V${fixed(high)}`];
  });
  return `<path d="${strokes.join('')}" stroke="${look.colour}" stroke-opacity="${isFaint ? 0.35 : 0.9}" stroke-width="1"/>`;
}

function scaleOf(
  [low, high]: readonly [number, number],
  isLog: boolean,
  from: number,
  to: number,
): (value: number) => number {
  const place = isLog ? Math.log : (value: number): number => value;
  const [first, last] = [place(low), place(high)];
  const span = last - first || 1;
  return (value) => from + ((place(value) - first) / span) * (to - from);
}

/** The points on the chart, one line each. */
export function chartCsv({ series, xLabel }: Pick<ChartPicture, 'series' | 'xLabel'>): string {
  const quoted = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = series.flatMap(({ label, data }) =>
    data.x.map((place, index) =>
      [quoted(label), place, data.low[index], data.high[index], data.smooth[index] ?? ''].join(','),
    ),
  );
  return [`series,${quoted(xLabel)},low,high,smoothed`, ...lines, ''].join('\n');
}

/** The SVG as a PNG at twice its size. */
export async function svgToPng(svg: string): Promise<Blob> {
  const address = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    await new Promise<void>((resolve, reject) => {
      image.onload = () => {
        resolve();
      };
      image.onerror = () => {
        reject(new Error('The browser could not draw the chart as a picture.'));
      };
      image.src = address;
    });
    const canvas = document.createElement('canvas');
    canvas.width = image.width * 2;
    canvas.height = image.height * 2;
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise<Blob>((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob === null) reject(new Error('The browser could not write the picture.'));
        else resolve(blob);
      }, 'image/png');
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** Hands a file to the reader. */
export function download(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const anchor = document.createElement('a');
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  setTimeout(() => {
    URL.revokeObjectURL(address);
  }, 10_000);
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function fixed(value: number): string {
  return value.toFixed(1);
}
