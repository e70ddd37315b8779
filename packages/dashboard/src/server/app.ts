/** The web server's routes: the API over the catalogue, and the files of the page. */
import { Hono } from 'hono';
import { compress } from 'hono/compress';
import { RunError } from '@cohort-ml/runs';
import { API_VERSION } from '../api/types.ts';
import { AnswerCache } from './answers.ts';
import { addComparisonRoutes } from './comparisonRoutes.ts';
import { addEditRoutes } from './editRoutes.ts';
import { metaOf, type AppContext } from './context.ts';
import { streamEvents } from './events.ts';
import { addHeldOutRoutes } from './heldOutRoutes.ts';
import { addPageRoutes } from './pageRoutes.ts';
import { RequestError } from './query.ts';
import { addRunRoutes } from './runRoutes.ts';
import { addShareRoute } from './shareRoute.ts';
import { addTryRoutes } from './tryRoutes.ts';
import { guard, secureHeaders, type SecurityOptions } from './security.ts';

/** The app, to be served or to be asked directly in tests. */
export function makeApp(given: AppContext, security: SecurityOptions): Hono {
  const app = new Hono();
  const answers = new AnswerCache();
  app.use(secureHeaders());
  app.use(guard(security));
  // Events must not wait in a compressor.
  const compressed = compress({ threshold: 1024 });
  app.use((context, next) => (context.req.path.endsWith('/events') ? next() : compressed(context, next)));
  const api = new Hono();
  api.use(async (context, next) => {
    await next();
    if (!context.res.headers.has('cache-control')) context.res.headers.set('Cache-Control', 'no-store');
  });
  api.get('/meta', (context) => context.json(metaOf(given)));
  api.get('/events', (context) => streamEvents(context, given.catalogue));
  addRunRoutes(api, given, answers);
  addHeldOutRoutes(api, given, answers);
  addComparisonRoutes(api, given);
  addEditRoutes(api, given);
  addShareRoute(api, given);
  addTryRoutes(api, given);
  api.all('*', (context) =>
    context.json({ error: `There is no such address in version ${API_VERSION} of the API.` }, 404),
  );
  app.route(`/api/v${API_VERSION}`, api);
  app.all('/api/*', (context) =>
    context.json(
      { error: `This server knows version ${API_VERSION} of the API: /api/v${API_VERSION}/...` },
      404,
    ),
  );
  addPageRoutes(app, given);
  app.onError((error, context) => {
    if (error instanceof RequestError) return context.json({ error: error.message }, error.status);
    if (error instanceof RunError)
      return context.json({ error: error.message }, error.kind === 'locked' ? 409 : 422);
    return context.json({ error: `The dashboard failed: ${error.message}. Please report this.` }, 500);
  });
  return app;
}
