/** What the page asks of its data, whether a server answers or the page holds them itself. */
import type {
  ComparisonDetail,
  ComparisonEntry,
  Embeddings,
  Fields,
  ImageProbabilities,
  LogTail,
  Meta,
  MetricList,
  Predictions,
  RunDetail,
  RunEdit,
  RunList,
  SeriesList,
  XAxis,
} from '../../src/api/types.ts';

/** Which series, and how fine. */
export interface SeriesRequest {
  readonly runs: readonly string[];
  readonly metrics: readonly string[];
  readonly kind: 'step' | 'epoch';
  readonly x: XAxis;
  readonly from?: number;
  readonly to?: number;
  readonly points: number;
  readonly smooth?: number;
  readonly logarithmic?: boolean;
}

/** Columns of the table beside the usual ones. */
export interface Columns {
  readonly settings: readonly string[];
  readonly metrics: readonly string[];
}

/** The data of the page. Every call rejects with an error whose message can be shown. */
export interface Api {
  meta(): Promise<Meta>;
  runs(since: number | null, columns: Columns): Promise<RunList>;
  fields(): Promise<Fields>;
  run(id: string): Promise<RunDetail>;
  metrics(id: string): Promise<MetricList>;
  log(id: string, before: number | null): Promise<LogTail>;
  series(request: SeriesRequest): Promise<SeriesList>;
  /** Null for a run that has not recorded them. */
  predictions(id: string): Promise<Predictions | null>;
  probabilities(id: string, index: number): Promise<ImageProbabilities | null>;
  /** Null for a run that has not recorded them. */
  embeddings(id: string, step: number): Promise<Embeddings | null>;
  comparisons(): Promise<readonly ComparisonEntry[]>;
  comparison(id: string): Promise<ComparisonDetail>;
  edit(id: string, edit: RunEdit): Promise<void>;
  remove(id: string, folder: string): Promise<void>;
  /** Address of a picture; null where there are none. */
  imageAddress(id: string, split: string, index: number): string | null;
  /** Address of the page as a file; null where it is one. */
  shareAddress(runs: readonly string[], comparisons: readonly string[], view: string): string | null;
  /** Calls the listener with ids of runs that have changed, and on every change of the connection. */
  listen(onChange: (runs: readonly string[]) => void, onConnection: (isOpen: boolean) => void): () => void;
}

/** A request that was answered with an error, or not at all. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** 0 where the server was not reached. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
