/** Routes of comparisons. */
import type { Hono } from 'hono';
import { comparisonDetail, comparisonEntry } from '../run/comparisons.ts';
import type { AppContext } from './context.ts';
import { RequestError } from './query.ts';

/** Adds the routes. */
export function addComparisonRoutes(api: Hono, { catalogue }: AppContext): void {
  api.get('/comparisons', (context) => {
    const entries = catalogue.entries();
    return context.json(catalogue.comparisons().map((found) => comparisonEntry(found, entries)));
  });

  api.get('/comparisons/:id', (context) => {
    const found = catalogue.comparison(context.req.param('id'));
    if (found === undefined)
      throw new RequestError(404, 'There is no such comparison. Go back to the list of comparisons.');
    return context.json(comparisonDetail(found, catalogue.entries()));
  });
}
