/** Routes of the server, apart from the port, so that a test can call them. */
import { ImageDecodeError } from '@cohort-ml/runtime';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { timeout } from 'hono/timeout';

const defaults = { mostBytes: 10_000_000, mostMs: 10_000, mostAtOnce: 4 };

/**
 * @param {import('@cohort-ml/runtime').Classifier} classifier
 * @param {Partial<typeof defaults>} limits
 */
export function createApp(classifier, limits = {}) {
  const { mostBytes, mostMs, mostAtOnce } = { ...defaults, ...limits };
  const app = new Hono();
  let running = 0;

  app.get('/labels', (context) => context.json(classifier.labels));

  app.post(
    '/classify',
    timeout(mostMs, () => new HTTPException(504, { message: 'This took too long. Try a smaller picture.' })),
    bodyLimit({
      maxSize: mostBytes,
      onError: (context) => context.json({ error: `Pictures may have ${mostBytes} bytes at most.` }, 413),
    }),
    async (context) => {
      if (running >= mostAtOnce) {
        context.header('retry-after', '1');
        return context.json({ error: 'The server is busy. Try again in a second.' }, 503);
      }
      running++;
      try {
        const image = new Uint8Array(await context.req.arrayBuffer());
        return context.json({ predictions: await classifier.classify(image, { top: 5 }) });
      } finally {
        running--;
      }
    },
  );

  app.onError((error, context) => {
    if (error instanceof HTTPException) return context.json({ error: error.message }, error.status);
    if (error instanceof ImageDecodeError) return context.json({ error: error.message }, 422);
    console.error(error);
    return context.json({ error: 'Something went wrong on the server.' }, 500);
  });
  return app;
}
