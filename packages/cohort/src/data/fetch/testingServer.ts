/** A web server on this machine for the tests of downloading: it counts requests and can be told to misbehave. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';

/** How the server answers. */
export interface Behaviour {
  /** False: every request gets the whole file. */
  ranges?: boolean;
  /** Breaks the connection after so many bytes, in as many requests as there are numbers. */
  breakAfter?: number[];
  /** Answers with these status codes first, one a request. */
  statuses?: number[];
  /** Sends the head of the answer and then nothing. */
  silent?: boolean;
}

/** A running server. */
export interface TestServer {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly behaviour: Behaviour;
  /** Path and range of every request, `/a bytes=5-`. */
  readonly requests: string[];
  close(): Promise<void>;
}

/** Serves `files` by path. */
export async function startServer(files: ReadonlyMap<string, Uint8Array>): Promise<TestServer> {
  const behaviour: Behaviour = {};
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    const range = request.headers.range ?? '';
    requests.push(`${request.url ?? ''} ${range}`.trim());
    answer(request, response, files.get(request.url ?? ''), behaviour);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    behaviour,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  content: Uint8Array | undefined,
  behaviour: Behaviour,
): void {
  const status = behaviour.statuses?.shift() ?? (content === undefined ? 404 : 200);
  if (status !== 200 || content === undefined) {
    response.writeHead(status).end('sorry');
    return;
  }
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const isPartial = start > 0 && behaviour.ranges !== false;
  if (isPartial && start >= content.length) {
    response.writeHead(416).end();
    return;
  }
  const body = isPartial ? content.subarray(start) : content;
  response.writeHead(isPartial ? 206 : 200, {
    'content-length': body.length,
    ...(isPartial ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
  });
  response.flushHeaders();
  if (behaviour.silent === true) return;
  const limit = behaviour.breakAfter?.shift();
  if (limit === undefined) {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, limit), () => {
    // The client drops what it has not read by the time the connection closes.
    setTimeout(() => response.destroy(), 250);
  });
}
