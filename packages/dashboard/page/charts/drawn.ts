/** Series as charts draw them, and how they are put on one horizontal axis for uPlot. */
import type { AlignedData } from 'uplot';
import type { Series } from '../../src/api/types.ts';
import type { Look } from './palette.ts';

/** A series with its name and look. */
export interface DrawnSeries {
  readonly label: string;
  readonly look: Look;
  readonly data: Pick<Series, 'x' | 'low' | 'high' | 'smooth' | 'exact'>;
  /** Faded while another one is pointed at. */
  readonly isMuted?: boolean;
}

/** A line across the chart: a bound, for example. */
export interface Rule {
  readonly value: number;
  readonly label: string;
}

/** What uPlot draws: raw values as a line through the extremes of each bucket, and the moving average where there is one. */
export interface Aligned {
  readonly data: AlignedData;
  /** For each of uPlot's series after the axis: which drawn series it belongs to, and whether it is the average. */
  readonly parts: readonly { readonly series: number; readonly isSmooth: boolean }[];
}

/** Puts series on one axis; places where one has no value are passed over by its line. */
export function align(series: readonly DrawnSeries[], isLog: boolean): Aligned {
  const columns: { x: number[]; y: number[]; series: number; isSmooth: boolean }[] = [];
  series.forEach(({ data }, index) => {
    columns.push({ ...rawLine(data), series: index, isSmooth: false });
    if (data.smooth.length > 0) {
      columns.push({ x: [...data.x], y: [...data.smooth], series: index, isSmooth: true });
    }
  });
  const places = [...new Set(columns.flatMap(({ x }) => x))].sort((a, b) => a - b);
  const positions = new Map(places.map((place, index) => [place, index]));
  const aligned = columns.map(({ x, y }) => {
    const values = new Array<number | null>(places.length).fill(null);
    x.forEach((place, index) => {
      const value = y[index] ?? NaN;
      const position = positions.get(place);
      // A logarithm has nothing to show at or below zero.
      if (position !== undefined && Number.isFinite(value) && (!isLog || value > 0)) values[position] = value;
    });
    return values;
  });
  return {
    data: [places, ...aligned],
    parts: columns.map(({ series: from, isSmooth }) => ({ series: from, isSmooth })),
  };
}

function rawLine({ x, low, high, exact }: DrawnSeries['data']): { x: number[]; y: number[] } {
  if (exact) return { x: [...x], y: [...low] };
  const line: { x: number[]; y: number[] } = { x: [], y: [] };
  const width = x.length > 1 ? ((x.at(-1) ?? 0) - (x[0] ?? 0)) / x.length : 1;
  x.forEach((place, index) => {
    line.x.push(place, place + width / 4);
    line.y.push(low[index] ?? NaN, high[index] ?? NaN);
  });
  return line;
}

/** The place of a series nearest to `x`, by bisection; -1 for an empty series. */
export function nearest(places: readonly number[], x: number): number {
  if (places.length === 0) return -1;
  let [from, to] = [0, places.length - 1];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((places[middle] ?? 0) < x) from = middle + 1;
    else to = middle;
  }
  const before = Math.max(0, from - 1);
  return Math.abs((places[before] ?? 0) - x) <= Math.abs((places[from] ?? 0) - x) ? before : from;
}
