/** The data inside a page that was written to a file: what its reader may ask for, with every array of numbers once. */
import type {
  ComparisonDetail,
  Embeddings,
  Fields,
  LogTail,
  Meta,
  MetricEntry,
  Predictions,
  RunDetail,
  RunRow,
} from './types.ts';

/** A series of a shared page; numbers are positions in `arrays`. */
export interface SharedSeries {
  readonly metric: string;
  readonly kind: 'step' | 'epoch';
  readonly x: { readonly step: number; readonly epoch: number; readonly time: number };
  readonly low: number;
  readonly high: number;
  readonly points: number;
  readonly exact: boolean;
  readonly notFinite: readonly number[];
}

/** One run of a shared page. */
export interface SharedRun {
  readonly detail: RunDetail;
  readonly metrics: readonly MetricEntry[];
  readonly series: readonly SharedSeries[];
  readonly log: LogTail;
  readonly predictions: Predictions | null;
  /** Of the last checkpoint that has them, without the input of UMAP. */
  readonly embeddings: Embeddings | null;
}

/** All of it. */
export interface SharedData {
  readonly version: 1;
  readonly meta: Meta;
  /** ISO 8601. */
  readonly writtenAt: string;
  /** Where the page opens: what stands behind `#` in its address. */
  readonly view: string;
  readonly rows: readonly RunRow[];
  readonly fields: Fields;
  readonly runs: Readonly<Record<string, SharedRun>>;
  readonly comparisons: readonly ComparisonDetail[];
  readonly arrays: readonly (readonly number[])[];
}
