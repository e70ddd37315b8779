/** Route of a page to give away: the runs that are selected, as one HTML file. */
import type { Hono } from 'hono';
import { collectShared } from '../share/collect.ts';
import { readSharedPage, sharedHtml } from '../share/write.ts';
import type { AppContext } from './context.ts';
import { listQuery, RequestError } from './query.ts';
import { entryOf } from './runRoutes.ts';

const MOST_RUNS = 50;

/** Adds the route. */
export function addShareRoute(api: Hono, given: AppContext): void {
  api.get('/share', async (context) => {
    const runs = listQuery(context, 'runs', MOST_RUNS).map((id) => entryOf(given, id));
    const asked = listQuery(context, 'comparisons', MOST_RUNS);
    if (runs.length === 0 && asked.length === 0) {
      throw new RequestError(400, 'Nothing is selected. Select runs in the table first.');
    }
    const inside = given.catalogue
      .entries()
      .filter(({ comparison }) => comparison !== null && asked.includes(comparison));
    const comparisons = [...new Set([...asked, ...runs.flatMap(({ comparison }) => comparison ?? [])])];
    const data = await collectShared(given, {
      runs: [...new Set([...runs, ...inside])],
      comparisons,
      view: context.req.query('view') ?? '/',
    });
    return new Response(sharedHtml(data, readSharedPage(given.sharedPageFolder)), {
      headers: {
        'Content-Type': 'text/html; charset=UTF-8',
        'Content-Disposition': 'attachment; filename="cohort-runs.html"',
      },
    });
  });
}
