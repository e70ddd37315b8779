/** Routes of runs: the table, one run, its metrics, series and log. */
import type { Hono } from 'hono';
import type { MetricEntry, MetricList, Series, SeriesList } from '../api/types.ts';
import type { CatalogueEntry } from '../catalogue/entry.ts';
import { reduceSeries, type FollowedLog, type Reduction, type RunTables } from '../columns/index.ts';
import { jsonNumber } from '../json.ts';
import { runDetail } from '../run/detail.ts';
import { readLogTail } from '../run/logTail.ts';
import type { AnswerCache } from './answers.ts';
import type { AppContext } from './context.ts';
import { AXES, choiceQuery, listQuery, numberQuery, RequestError } from './query.ts';

/** A first view waits so long for a log that nobody has read yet; then it shows a sample. */
const PATIENCE_MS = 250;
const MOST_RUNS = 100;
const MOST_COLUMNS = 50;
const MOST_POINTS = 20_000;

/** Adds the routes. */
export function addRunRoutes(api: Hono, given: AppContext, answers: AnswerCache): void {
  const { catalogue } = given;
  const jsonText = (text: string): Response =>
    new Response(text, { headers: { 'Content-Type': 'application/json; charset=UTF-8' } });

  api.get('/runs', async (context) => {
    const since = numberQuery(context, 'since');
    const asked = {
      settings: listQuery(context, 'settings', MOST_COLUMNS),
      metrics: listQuery(context, 'metrics', MOST_COLUMNS),
    };
    return jsonText(
      await answers.get(context.req.url, String(catalogue.revision), () => catalogue.list(since, asked)),
    );
  });

  api.get('/fields', async (context) =>
    jsonText(await answers.get(context.req.url, String(catalogue.revision), () => catalogue.fields())),
  );

  api.get('/runs/:id', async (context) => {
    const entry = entryOf(given, context.req.param('id'));
    const { tables } = await refreshedLog(given, entry);
    return context.json(await runDetail(entry, tables, catalogue.root, given.knowledge));
  });

  api.get('/runs/:id/metrics', async (context) => {
    const entry = entryOf(given, context.req.param('id'));
    const { log, tables } = await refreshedLog(given, entry);
    return jsonText(
      await answers.get(context.req.url, `${log.revision} ${log.progress}`, () => metricList(log, tables)),
    );
  });

  api.get('/runs/:id/log', (context) => {
    const entry = entryOf(given, context.req.param('id'));
    return context.json(readLogTail(entry.path, numberQuery(context, 'before', 0)));
  });

  api.get('/series', async (context) => {
    const kind = choiceQuery(context, 'kind', ['epoch', 'step']);
    const metrics = listQuery(context, 'metric', MOST_COLUMNS);
    const reduction: Reduction = {
      axis: choiceQuery(context, 'x', AXES),
      from: numberQuery(context, 'from'),
      to: numberQuery(context, 'to'),
      points: numberQuery(context, 'points', 10, MOST_POINTS) ?? 1000,
      smoothing: numberQuery(context, 'smooth', 0, 0.9999) ?? 0,
      logarithmic: choiceQuery(context, 'scale', ['linear', 'log']) === 'log',
    };
    const entries = listQuery(context, 'runs', MOST_RUNS).map((id) => entryOf(given, id));
    const logs = await Promise.all(
      entries.map(async (entry) => ({ entry, ...(await refreshedLog(given, entry)) })),
    );
    const revision = logs.map(({ log }) => `${log.revision}`).join(' ');
    return jsonText(
      await answers.get(context.req.url, revision, (): SeriesList => {
        return { series: logs.flatMap((each) => seriesOf(each, kind, metrics, reduction)) };
      }),
    );
  });
}

/** The run of an id. @throws RequestError */
export function entryOf({ catalogue }: AppContext, id: string): CatalogueEntry {
  const entry = catalogue.entry(id);
  if (entry !== undefined) return entry;
  throw new RequestError(
    404,
    `There is no run with the id ${JSON.stringify(id)} in ${catalogue.root}. Go back to the table of runs.`,
  );
}

/** A run's columns after a look at its log. */
export async function refreshedLog(
  { catalogue }: AppContext,
  entry: CatalogueEntry,
): Promise<{ log: FollowedLog; tables: RunTables; isPreview: boolean }> {
  const log = catalogue.log(entry);
  await log.refresh(PATIENCE_MS);
  return { log, ...log.tables };
}

/** Every metric of a run. */
export function metricList(log: Pick<FollowedLog, 'revision' | 'progress'>, tables: RunTables): MetricList {
  const metrics = (['epoch', 'step'] as const).flatMap((kind) =>
    [...tables.of(kind).columns].map(([name, column]): MetricEntry => {
      const found = column.extremes(0, column.length);
      const values = column.values.view();
      return {
        ...{ name, kind, count: column.length, notFinite: column.notFinite },
        last: jsonNumber(values.at(-1) ?? NaN),
        minimum: jsonNumber(found === null ? NaN : (values[found.low] ?? NaN)),
        maximum: jsonNumber(found === null ? NaN : (values[found.high] ?? NaN)),
      };
    }),
  );
  return { revision: log.revision, metrics, progress: log.progress };
}

function seriesOf(
  { entry, tables, isPreview }: { entry: CatalogueEntry; tables: RunTables; isPreview: boolean },
  kind: 'step' | 'epoch',
  metrics: readonly string[],
  reduction: Reduction,
): Series[] {
  return metrics.flatMap((metric) => {
    const reduced = reduceSeries(tables, kind, metric, reduction);
    return reduced === null ? [] : [{ run: entry.id, ...reduced, preview: isPreview }];
  });
}
