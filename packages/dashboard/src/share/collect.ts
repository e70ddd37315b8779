/** Collects what a shared page holds, as finely as fits into its size. */
import { embeddingSteps } from '@cohort-ml/runs';
import type { Embeddings, Fields, RunRow, XAxis } from '../api/types.ts';
import type { SharedData, SharedRun, SharedSeries } from '../api/shared.ts';
import type { CatalogueEntry } from '../catalogue/entry.ts';
import { reduceSeries, type RunTables } from '../columns/index.ts';
import { comparisonDetail } from '../run/comparisons.ts';
import { runDetail } from '../run/detail.ts';
import { embeddingsOf, predictionsOf } from '../run/heldOut.ts';
import { readLogTail } from '../run/logTail.ts';
import { metaOf, type AppContext } from '../server/context.ts';
import { metricList } from '../server/runRoutes.ts';

/** Most bytes of the data; the page around it takes some hundred kilobytes. */
const MOST_BYTES = 4_500_000;
/** Points of a series, from fine to coarse. */
const FINENESS = [1000, 500, 250, 120, 60, 30];
const LOG_CHARACTERS = 20_000;

/** What to put into a page. */
export interface ShareRequest {
  readonly runs: readonly CatalogueEntry[];
  /** Folders of comparisons, by id. */
  readonly comparisons: readonly string[];
  /** What stands behind `#` in the address of the page that is opened. */
  readonly view: string;
}

/** Collects the data, coarser until it fits. */
export async function collectShared(given: AppContext, request: ShareRequest): Promise<SharedData> {
  let data = await collect(given, request, FINENESS[0] ?? 1000, true);
  for (const points of FINENESS.slice(1)) {
    if (JSON.stringify(data).length <= MOST_BYTES) return data;
    data = await collect(given, request, points, points > 100);
  }
  return data;
}

async function collect(
  given: AppContext,
  request: ShareRequest,
  points: number,
  hasImages: boolean,
): Promise<SharedData> {
  const arrays = new ArrayPool();
  const runs: Record<string, SharedRun> = {};
  for (const entry of request.runs) {
    const log = given.catalogue.log(entry);
    // To its end: a sample would stay one.
    while (log.progress < 1 || log.tables.isPreview || log.revision === 0) {
      const before = log.revision;
      await log.refresh(10_000);
      if (log.revision === before) break;
    }
    runs[entry.id] = await sharedRun(given, entry, log.tables.tables, { arrays, points, hasImages });
  }
  const fields = given.catalogue.fields();
  const rows = request.runs.map((entry) =>
    entry.row({ settings: fields.settings.map(({ key }) => key), metrics: fields.metrics }),
  );
  const comparisons = request.comparisons.flatMap((id) => given.catalogue.comparison(id) ?? []);
  return {
    version: 1,
    meta: { ...metaOf(given), canEdit: false, hasImages: false, isShared: true },
    writtenAt: new Date().toISOString(),
    view: request.view,
    rows: withoutUnusedSettings(rows),
    fields: fieldsOf(rows, fields),
    runs,
    comparisons: comparisons.map((found) => comparisonDetail(found, request.runs)),
    arrays: arrays.all,
  };
}

interface SharedParts {
  readonly arrays: ArrayPool;
  readonly points: number;
  readonly hasImages: boolean;
}

async function sharedRun(
  { catalogue, knowledge }: AppContext,
  entry: CatalogueEntry,
  tables: RunTables,
  { arrays, points, hasImages }: SharedParts,
): Promise<SharedRun> {
  const detail = await runDetail(entry, tables, catalogue.root, knowledge);
  const log = readLogTail(entry.path, null);
  return {
    // Where a folder lies is nobody's business elsewhere.
    detail: { ...detail, path: entry.folder, exports: [] },
    metrics: metricList({ revision: 0, progress: 1 }, tables).metrics,
    series: (['epoch', 'step'] as const).flatMap((kind) =>
      [...tables.of(kind).columns.keys()].flatMap(
        (metric) => sharedSeries(tables, kind, metric, arrays, points) ?? [],
      ),
    ),
    log: { ...log, text: log.text.slice(-LOG_CHARACTERS) },
    predictions: hasImages ? readableOrNull(() => predictionsOf(entry.path)) : null,
    embeddings: hasImages ? readableOrNull(() => lastEmbeddings(entry.path)) : null,
  };
}

function sharedSeries(
  tables: RunTables,
  kind: 'step' | 'epoch',
  metric: string,
  arrays: ArrayPool,
  points: number,
): SharedSeries | null {
  const reduce = (axis: XAxis): ReturnType<typeof reduceSeries> =>
    reduceSeries(tables, kind, metric, { axis, from: null, to: null, points, smoothing: 0 });
  const [step, epoch, time] = [reduce('step'), reduce('epoch'), reduce('time')];
  if (step === null || epoch === null || time === null) return null;
  // Buckets of equal width on one axis are not so on another; all are cut where steps cut them.
  const x = (other: typeof step): number =>
    arrays.add(step.exact ? other.x : resampled(other.x, step.x.length));
  const low = arrays.add(step.low);
  return {
    ...{ metric, kind, low, points: step.points, exact: step.exact, notFinite: step.notFinite },
    x: { step: arrays.add(step.x), epoch: x(epoch), time: x(time) },
    high: step.exact ? low : arrays.add(step.high),
  };
}

function resampled(values: readonly number[], count: number): number[] {
  if (values.length === count) return [...values];
  return Array.from(
    { length: count },
    (_, index) => values[Math.round((index * (values.length - 1)) / Math.max(1, count - 1))] ?? 0,
  );
}

function lastEmbeddings(folder: string): Embeddings | null {
  const step = embeddingSteps(folder).at(-1);
  const found = step === undefined ? null : embeddingsOf(folder, step);
  return found === null ? null : { ...found, components: [] };
}

function readableOrNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** Of a few runs, only settings that differ are worth their room in every row. */
function withoutUnusedSettings(rows: readonly RunRow[]): RunRow[] {
  const keys = Object.keys(rows[0]?.settings ?? {});
  const differing = keys.filter((key) => new Set(rows.map(({ settings }) => settings[key])).size > 1);
  return rows.map((row) => ({
    ...row,
    settings: Object.fromEntries(differing.map((key) => [key, row.settings[key] ?? null])),
  }));
}

function fieldsOf(rows: readonly RunRow[], fields: Fields): Fields {
  const settings = fields.settings.flatMap(({ key }) => {
    const values = new Set(rows.map((row) => row.settings[key])).size;
    return values > 1 ? [{ key, values }] : [];
  });
  const measured = new Set(rows.flatMap(({ results }) => Object.keys(results)));
  return { settings, metrics: fields.metrics.filter((name) => measured.has(name)) };
}

/** Arrays of numbers, each kept once, with six digits. */
class ArrayPool {
  readonly all: number[][] = [];
  readonly #positions = new Map<string, number>();

  add(values: readonly number[]): number {
    const rounded = values.map((value) => Number(value.toPrecision(6)));
    const key = rounded.join(',');
    const known = this.#positions.get(key);
    if (known !== undefined) return known;
    this.all.push(rounded);
    this.#positions.set(key, this.all.length - 1);
    return this.all.length - 1;
  }
}
