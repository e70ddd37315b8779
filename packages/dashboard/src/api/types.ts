/** The shapes of the dashboard's API, version 1: what the server answers and the page reads. docs/dashboard.md lists the addresses. */

import type { RankFailure, RanksRecord } from '@cohort-ml/runs';

/** Version in the path of every address: `/api/v1/...`. */
export const API_VERSION = 1;

/** Where a run stands. The last four are folders that cannot be shown as runs; `problem` says why. */
export type RowState =
  | 'running'
  | 'finished'
  | 'failed'
  | 'interrupted'
  /** `running` was left behind by a process that is gone. */
  | 'stopped'
  | 'damaged'
  /** Made by a newer Cohort. */
  | 'newer'
  /** Not a run folder. */
  | 'foreign'
  /** It was there a moment ago. */
  | 'vanished';

/** A number as JSON can hold it: those that are not finite are text. */
export type JsonNumber = number | 'NaN' | 'Infinity' | '-Infinity';

/** A metric over the epochs of a run. Of metrics that several networks have, the mean over the networks at each epoch. */
export interface Result {
  readonly last: JsonNumber;
  /** The largest for accuracies, ranks and throughput, the smallest for losses. */
  readonly best: JsonNumber;
}

/** A scalar of a recipe. */
export type SettingValue = string | number | boolean | null;

/** One row of the table of runs. */
export interface RunRow {
  /** Stable over restarts; every other address takes it. */
  readonly id: string;
  /** Path of the folder inside the folder of runs. */
  readonly folder: string;
  readonly name: string;
  readonly state: RowState;
  /** What cannot be read, and what to do. */
  readonly problem: string | null;
  /** ISO 8601, UTC. */
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly failure: string | null;
  readonly method: string | null;
  readonly dataset: string | null;
  readonly networks: readonly string[];
  readonly seed: number | null;
  /** The same for runs whose settings are equal but for seed and name: what means over seeds are taken over. */
  readonly recipe: string;
  /** Planned epochs. */
  readonly epochs: number | null;
  /** Epochs and steps done. */
  readonly epoch: number;
  readonly step: number;
  /** From the start to the last record. */
  readonly seconds: number;
  /** What stands for the networks: `accuracy`, or `AP` and `meanIoU` of tasks other than classification. */
  readonly scoreName: string;
  /** Keys `accuracy`, `accuracy/ensemble`, `validationAccuracy` (of what stands for the networks), `total`, and those that were asked for. */
  readonly results: Readonly<Record<string, Result>>;
  /** Settings that were asked for, by dotted path. */
  readonly settings: Readonly<Record<string, SettingValue>>;
  /** Mean test accuracy (else validation accuracy) over the run, at most 32 values from 0 to 1. */
  readonly trend: readonly number[];
  /** Id of the comparison that the run belongs to. */
  readonly comparison: string | null;
  readonly tags: readonly string[];
  readonly note: string;
  readonly archived: boolean;
  /** Grows with every change of the row. */
  readonly revision: number;
}

/** `GET /runs`. */
export interface RunList {
  /** To be given as `since` for what has changed after this answer. */
  readonly revision: number;
  /** True where `rows` are all rows, and not only those that have changed. */
  readonly complete: boolean;
  readonly rows: readonly RunRow[];
  /** Ids of rows that are gone. */
  readonly removed: readonly string[];
  /** Runs whose recipes and results are still being read. */
  readonly pending: number;
}

/** `GET /meta`. */
export interface Meta {
  readonly apiVersion: number;
  readonly version: string;
  /** Path of the folder of runs. */
  readonly root: string;
  /** Whether runs may be renamed, noted, tagged, archived and deleted. */
  readonly canEdit: boolean;
  /** Whether pictures of held-out images can be shown. */
  readonly hasImages: boolean;
  /** Whether exported networks can be tried. */
  readonly canTry: boolean;
  /** Whether this is a page written by `--export`. */
  readonly isShared: boolean;
}

/** `GET /fields`: what columns there are to choose from. */
export interface Fields {
  /** Dotted paths of settings, those with several values first. */
  readonly settings: readonly { readonly key: string; readonly values: number }[];
  readonly metrics: readonly string[];
}

/** One setting of a recipe. */
export interface Setting {
  readonly key: string;
  readonly value: SettingValue;
  /** Null where it is not known. */
  readonly isDefault: boolean | null;
}

/** A checkpoint on the disk. */
export interface Checkpoint {
  readonly name: string;
  readonly epoch: number | null;
  readonly step: number | null;
  readonly bytes: number;
  readonly modifiedAt: string;
}

/** `GET /runs/:id`. */
export interface RunDetail {
  readonly row: RunRow;
  readonly id: string;
  readonly path: string;
  readonly command: string;
  readonly resumes: readonly { readonly at: string; readonly checkpoint: string | null }[];
  readonly settings: readonly Setting[];
  readonly environment: Readonly<Record<string, unknown>>;
  readonly summary: Readonly<Record<string, unknown>> | null;
  readonly checkpoints: readonly Checkpoint[];
  /** The command that resumes the run; null where there is nothing to resume. */
  readonly resumeCommand: string | null;
  /** What deserves a look, in words. */
  readonly advice: readonly Advice[];
  /** Names of the classes; empty where the run does not say. */
  readonly classes: readonly string[];
  /** Upper bounds of shared information in nats; null where they are not known. */
  readonly ceilings: { readonly sameClass: number | null; readonly sameImage: number | null };
  readonly heldOut: { readonly predictions: boolean; readonly embeddingSteps: readonly number[] };
  readonly exports: readonly ExportEntry[];
  /** The ranks of a distributed training; null for one in a single process. */
  readonly ranks: RanksRecord | null;
  /** How a rank was lost last; null where none was. */
  readonly rankFailure: RankFailure | null;
}

/** Something to know about a run, and what to do about it. */
export interface Advice {
  readonly level: 'good' | 'notice' | 'warning';
  readonly text: string;
}

/** One metric of a run. */
export interface MetricEntry {
  readonly name: string;
  readonly kind: 'step' | 'epoch';
  readonly count: number;
  readonly last: JsonNumber;
  readonly minimum: JsonNumber;
  readonly maximum: JsonNumber;
  /** How many values are not finite. */
  readonly notFinite: number;
}

/** `GET /runs/:id/metrics`. */
export interface MetricList {
  readonly revision: number;
  readonly metrics: readonly MetricEntry[];
  /** Share of the log that has been read, 0 to 1. */
  readonly progress: number;
}

/** What a chart has on its horizontal axis; time is in seconds since the start of the run. */
export type XAxis = 'step' | 'epoch' | 'time';

/** One run's metric, reduced to buckets that keep the extremes. */
export interface Series {
  readonly run: string;
  readonly metric: string;
  readonly kind: 'step' | 'epoch';
  readonly x: readonly number[];
  /** Smallest and largest value of each bucket; equal where the bucket is one point. */
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** Exponential moving average, at the end of each bucket; empty without smoothing. */
  readonly smooth: readonly number[];
  /** Places of values that are not finite, at most 100. */
  readonly notFinite: readonly number[];
  /** Points in the range before reduction. */
  readonly points: number;
  /** Whether every bucket is a single point. */
  readonly exact: boolean;
  /** Range of the whole series on this axis. */
  readonly extent: readonly [number, number];
  /** Whether it is a sample of a log that has not been read to the end. */
  readonly preview: boolean;
}

/** `GET /series`. */
export interface SeriesList {
  readonly series: readonly Series[];
}

/** `GET /runs/:id/log`. */
export interface LogTail {
  readonly text: string;
  /** First byte of the text in the file; 0 when nothing comes before it. */
  readonly start: number;
  readonly end: number;
}

/** `GET /runs/:id/predictions`: arrays are base64, little-endian. */
export interface Predictions {
  readonly split: string;
  readonly epoch: number;
  readonly step: number;
  readonly classes: readonly string[];
  /** The last one is `ensemble`. */
  readonly networks: readonly string[];
  readonly images: number;
  /** Uint16, `[N]`. */
  readonly labels: string;
  /** Int16, `[N]` for each network; -1 where the answer was not a number. */
  readonly predicted: readonly string[];
  /** Uint8, `[N]` for each network: the probability of the predicted class in 255ths. */
  readonly confidence: readonly string[];
  readonly names: readonly string[] | null;
}

/** `GET /runs/:id/predictions/:index`: all probabilities of one image. */
export interface ImageProbabilities {
  readonly index: number;
  /** For each network its probabilities by class, 0 to 1; null where they are not kept for this image. */
  readonly probabilities: readonly (readonly number[])[] | null;
}

/** `GET /runs/:id/embeddings?step=`. */
export interface Embeddings {
  readonly split: 'test' | 'validation';
  readonly step: number;
  readonly epoch: number;
  readonly classes: readonly string[];
  readonly networks: readonly string[];
  /** Positions of the images in the split. */
  readonly rows: readonly number[];
  readonly labels: readonly number[];
  /** For each network its images in two dimensions, `[R, 2]`, turned to fit the first network. */
  readonly points: readonly (readonly number[])[];
  /** For each network its leading principal components, `[R, C]` in float32 as base64: the input of UMAP. */
  readonly components: readonly { readonly width: number; readonly values: string }[];
  /** Share of the variance that the two dimensions keep, for each network. */
  readonly explained: readonly number[];
}

/** One comparison in the list. */
export interface ComparisonEntry {
  readonly id: string;
  readonly folder: string;
  readonly name: string;
  readonly command: string;
  readonly labels: readonly string[];
  readonly seeds: readonly number[];
  /** Trainings that are planned, and those whose runs have finished. */
  readonly cells: number;
  readonly finished: number;
  readonly hasReport: boolean;
  readonly problem: string | null;
}

/** `GET /comparisons/:id`; `report` is `report.json` as `cohort compare` wrote it. */
export interface ComparisonDetail {
  readonly entry: ComparisonEntry;
  readonly report: Readonly<Record<string, unknown>> | null;
  /** The method of each run in it. */
  readonly runs: readonly { readonly id: string; readonly label: string; readonly seed: number | null }[];
}

/** A folder that `cohort export` made. */
export interface ExportEntry {
  readonly id: string;
  readonly name: string;
  readonly labels: number;
  readonly models: readonly { readonly precision: string; readonly bytes: number }[];
}

/** Body of `PATCH /runs/:id`; what is left out stays. */
export interface RunEdit {
  readonly name?: string;
  readonly note?: string;
  readonly tags?: readonly string[];
  readonly archived?: boolean;
}

/** What every failed request answers. */
export interface ApiError {
  readonly error: string;
}
