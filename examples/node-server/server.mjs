/** Loads the exported folder in $EXPORT and serves it on $PORT. */
import { createClassifier } from '@cohort-ml/runtime';
import { serve } from '@hono/node-server';
import { createApp } from './app.mjs';

const classifier = await createClassifier(process.env.EXPORT ?? './shirts', { mostPixels: 25_000_000 });
await classifier.warmUp();
const server = serve(
  { fetch: createApp(classifier).fetch, port: Number(process.env.PORT ?? 3000) },
  ({ port }) => {
    console.log(`Classifying ${classifier.labels.length} classes on http://localhost:${port}`);
  },
);

process.once('SIGTERM', () => {
  server.close(() => classifier.dispose());
});
