/** Reduces a series to what a chart can show: the smallest and largest value of each bucket, so that a spike of one step survives. */
import type { Series, XAxis } from '../api/types.ts';
import type { Column } from './column.ts';
import type { RunTables } from './table.ts';

/** What part of a series, and how fine. */
export interface Reduction {
  readonly axis: XAxis;
  /** Bounds on the axis; null for the whole series. */
  readonly from: number | null;
  readonly to: number | null;
  /** Most buckets. */
  readonly points: number;
  /** Share of the past in the moving average, 0 (none) to below 1. */
  readonly smoothing: number;
  readonly logarithmic?: boolean;
}

const MOST_MARKS = 100;

/** The series of a metric; null for a metric that the run does not have. */
export function reduceSeries(
  tables: RunTables,
  kind: 'step' | 'epoch',
  metric: string,
  reduction: Reduction,
): Omit<Series, 'run' | 'preview'> | null {
  const column = tables.of(kind).columns.get(metric);
  if (column === undefined || column.length === 0) return null;
  const records = column.records.view();
  const place = tables.axis(kind, reduction.axis);
  const at = (position: number): number => place(records[position] ?? 0);
  const values = column.values.view();
  const extent: [number, number] = [at(0), at(column.length - 1)];
  // One point beyond each bound, so that lines reach the border of the view.
  const from = reduction.from === null ? 0 : Math.max(0, lowerBound(column.length, at, reduction.from) - 1);
  const to =
    reduction.to === null
      ? column.length
      : Math.min(column.length, upperBound(column.length, at, reduction.to) + 1);
  const points = Math.max(0, to - from);
  const exact = points <= reduction.points;
  const edges = exact
    ? null
    : bucketEdges(at, from, to, reduction.points, reduction.logarithmic === true && at(from) >= 0);
  const x: number[] = [];
  const low: number[] = [];
  const high: number[] = [];
  const ends: number[] = [];
  const buckets = edges === null ? points : edges.length - 1;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const begin = edges === null ? from + bucket : (edges[bucket] ?? 0);
    const end = edges === null ? begin + 1 : (edges[bucket + 1] ?? 0);
    const found = column.extremes(begin, end);
    if (found === null) continue;
    x.push(exact ? at(begin) : (at(begin) + at(end - 1)) / 2);
    low.push(values[found.low] ?? NaN);
    high.push(values[found.high] ?? NaN);
    ends.push(end - 1);
  }
  return {
    ...{ metric, kind, x, low, high, points, exact, extent },
    smooth: reduction.smoothing > 0 ? averagesAt(column, ends, reduction.smoothing) : [],
    notFinite: notFinitePlaces(column, from, to, at),
  };
}

/** First position of each bucket and, last, the end: equal widths on the axis, empty buckets left out. */
function bucketEdges(
  at: (position: number) => number,
  from: number,
  to: number,
  most: number,
  logarithmic: boolean,
): number[] {
  const scale = logarithmic
    ? (value: number): number => Math.log(Math.max(value, 1e-9))
    : (value: number): number => value;
  const first = scale(Math.max(at(from), logarithmic ? 1 : -Infinity));
  const last = scale(at(to - 1));
  const width = (last - first) / most;
  // All at one place (a clock that stood still): equal counts do as well.
  if (!(width > 0)) {
    return Array.from({ length: most + 1 }, (_, index) => from + Math.floor(((to - from) * index) / most));
  }
  const unscale = logarithmic ? Math.exp : (value: number): number => value;
  const edges = [from];
  for (let bucket = 1; bucket < most; bucket += 1) {
    const edge = lowerBound(to, at, unscale(first + bucket * width), edges.at(-1) ?? from);
    if (edge > (edges.at(-1) ?? from)) edges.push(edge);
  }
  if (to > (edges.at(-1) ?? from)) edges.push(to);
  return edges;
}

/** The moving average over every value before each of these positions, corrected for its start (as Adam corrects its moments). */
function averagesAt(column: Column, positions: readonly number[], smoothing: number): number[] {
  const values = column.values.view();
  const averages: number[] = [];
  let average = 0;
  let weight = 0;
  let next = 0;
  for (let position = 0; position < values.length && next < positions.length; position += 1) {
    const value = values[position] ?? NaN;
    if (Number.isFinite(value)) {
      average = smoothing * average + (1 - smoothing) * value;
      weight = smoothing * weight + (1 - smoothing);
    }
    if (positions[next] === position) {
      averages.push(weight > 0 ? average / weight : 0);
      next += 1;
    }
  }
  return averages;
}

function notFinitePlaces(
  column: Column,
  from: number,
  to: number,
  at: (position: number) => number,
): number[] {
  if (column.notFinite === 0) return [];
  const values = column.values.view();
  const places: number[] = [];
  for (let position = from; position < to && places.length < MOST_MARKS; position += 1) {
    if (!Number.isFinite(values[position] ?? 0)) places.push(at(position));
  }
  return places;
}

/** The first position whose place is not below the bound. */
function lowerBound(count: number, at: (position: number) => number, bound: number, begin = 0): number {
  let [from, to] = [begin, count];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (at(middle) < bound) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The first position whose place is above the bound. */
function upperBound(count: number, at: (position: number) => number, bound: number): number {
  let [from, to] = [0, count];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (at(middle) <= bound) from = middle + 1;
    else to = middle;
  }
  return from;
}
