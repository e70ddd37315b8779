/** The data of a page that was written to a file. */
import type { SharedData, SharedSeries } from '../../src/api/shared.ts';
import type { Series } from '../../src/api/types.ts';
import { ApiError, type Api, type SeriesRequest } from './client.ts';

/** The API over data that the page holds itself. */
export function sharedApi(data: SharedData): Api {
  const runOf = (id: string): SharedData['runs'][string] => {
    const found = data.runs[id];
    if (found === undefined) throw new ApiError(404, 'This run was not exported with the page.');
    return found;
  };
  const refuse = (): Promise<never> =>
    Promise.reject(new ApiError(403, 'A page that was exported is read-only.'));
  return {
    meta: () => Promise.resolve(data.meta),
    runs: () => Promise.resolve({ revision: 0, complete: true, rows: data.rows, removed: [], pending: 0 }),
    fields: () => Promise.resolve(data.fields),
    run: async (id) => (await Promise.resolve(runOf(id))).detail,
    metrics: async (id) => ({
      revision: 0,
      metrics: (await Promise.resolve(runOf(id))).metrics,
      progress: 1,
    }),
    log: async (id, before) => {
      const { log } = await Promise.resolve(runOf(id));
      return before === null ? log : { text: '', start: 0, end: 0 };
    },
    series: (request) =>
      Promise.resolve({
        series: request.runs.flatMap((id) =>
          request.metrics.flatMap((metric) => {
            const found = data.runs[id]?.series.find(
              (each) => each.metric === metric && each.kind === request.kind,
            );
            return found === undefined ? [] : [seriesOf(id, found, data.arrays, request)];
          }),
        ),
      }),
    predictions: async (id) => (await Promise.resolve(runOf(id))).predictions,
    probabilities: () => Promise.resolve(null),
    embeddings: async (id) => (await Promise.resolve(runOf(id))).embeddings,
    comparisons: () => Promise.resolve(data.comparisons.map(({ entry }) => entry)),
    comparison: (id) => {
      const found = data.comparisons.find(({ entry }) => entry.id === id);
      return found === undefined
        ? Promise.reject(new ApiError(404, 'This comparison was not exported with the page.'))
        : Promise.resolve(found);
    },
    edit: refuse,
    remove: refuse,
    imageAddress: () => null,
    shareAddress: () => null,
    listen: (_, onConnection) => {
      onConnection(true);
      return () => undefined;
    },
  };
}

function seriesOf(
  run: string,
  shared: SharedSeries,
  arrays: SharedData['arrays'],
  { x: axis, from = -Infinity, to = Infinity, smooth = 0 }: SeriesRequest,
): Series {
  const x = arrays[shared.x[axis]] ?? [];
  const low = arrays[shared.low] ?? [];
  const high = arrays[shared.high] ?? [];
  const { metric, kind, points, exact, notFinite } = shared;
  const first = Math.max(0, x.findIndex((value) => value >= from) - 1);
  const after = x.findIndex((value) => value > to);
  const end = after < 0 ? x.length : after + 1;
  return {
    ...{ run, metric, kind, points, exact, notFinite },
    x: x.slice(first, end),
    low: low.slice(first, end),
    high: high.slice(first, end),
    smooth: smooth > 0 ? averages(low, high, smooth).slice(first, end) : [],
    extent: [x[0] ?? 0, x.at(-1) ?? 0],
    preview: false,
  };
}

/** As the server's, over what the page holds. */
function averages(low: readonly number[], high: readonly number[], smooth: number): number[] {
  let average = 0;
  let weight = 0;
  return low.map((value, index) => {
    average = smooth * average + ((1 - smooth) * (value + (high[index] ?? value))) / 2;
    weight = smooth * weight + (1 - smooth);
    return average / weight;
  });
}
