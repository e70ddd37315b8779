/** Server-sent events: each says only that rows have changed, so that a page which reconnects has missed nothing. */
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Catalogue } from '../catalogue/catalogue.ts';

/** At most so often; what changes in between is told in one event. */
const EVERY_MS = 500;
/** Keeps proxies from ending a connection on which nothing happens. */
const HEARTBEAT_MS = 15_000;

/** What an event says. */
export interface ChangeEvent {
  /** To be given to `GET /runs?since=`; it is the event's id too. */
  readonly revision: number;
  /** Ids of runs whose measurements or state have changed, as far as they are known. */
  readonly runs: readonly string[];
}

/**
 * Streams changes until the reader goes. A reader that comes back with `Last-Event-ID` is told at once if it is behind.
 */
export function streamEvents(context: Context, catalogue: Catalogue): Response {
  const seen = Number(context.req.header('last-event-id') ?? context.req.query('since') ?? NaN);
  context.header('Cache-Control', 'no-cache');
  return streamSSE(context, async (stream) => {
    let told = Number.isFinite(seen) ? seen : catalogue.revision;
    const runs = new Set<string>();
    let wake: () => void = () => undefined;
    const stopListening = catalogue.listen((_, changed) => {
      for (const id of changed) runs.add(id);
      wake();
    });
    stream.onAbort(() => {
      stopListening();
      wake();
    });
    await stream.writeSSE({ event: 'hello', data: '{}', retry: 2000 });
    while (!stream.aborted && !stream.closed) {
      const { revision } = catalogue;
      if (revision > told) {
        told = revision;
        const event: ChangeEvent = { revision, runs: [...runs] };
        runs.clear();
        await stream.writeSSE({ event: 'change', id: String(revision), data: JSON.stringify(event) });
        await stream.sleep(EVERY_MS);
        continue;
      }
      const isQuiet = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => {
          resolve(true);
        }, HEARTBEAT_MS);
        wake = (): void => {
          clearTimeout(timer);
          resolve(false);
        };
      });
      if (isQuiet) await stream.writeSSE({ event: 'heartbeat', data: '{}' });
    }
    stopListening();
  });
}
