/** The data of a page that a server answers. */
import type { RunEdit } from '../../src/api/types.ts';
import { ApiError, type Api, type Columns, type SeriesRequest } from './client.ts';

const BASE = 'api/v1';

type Query = Readonly<Record<string, string | number | readonly string[] | null | undefined>>;

/** The API of the server that the page came from. */
export function serverApi(): Api {
  return {
    meta: () => get('meta'),
    runs: (since, { settings, metrics }: Columns) => get('runs', { since, settings, metrics }),
    fields: () => get('fields'),
    run: (id) => get(`runs/${id}`),
    metrics: (id) => get(`runs/${id}/metrics`),
    log: (id, before) => get(`runs/${id}/log`, { before }),
    series: ({ runs, metrics, kind, x, from, to, points, smooth, logarithmic }: SeriesRequest) =>
      get('series', {
        ...{ runs, kind, x, from, to, points, smooth },
        metric: metrics,
        scale: logarithmic === true ? 'log' : undefined,
      }),
    predictions: (id) => nullIfMissing(get(`runs/${id}/predictions`)),
    probabilities: (id, index) => nullIfMissing(get(`runs/${id}/predictions/${index}`)),
    embeddings: (id, step) => nullIfMissing(get(`runs/${id}/embeddings`, { step })),
    comparisons: () => get('comparisons'),
    comparison: (id) => get(`comparisons/${id}`),
    edit: async (id, edit) => {
      await send('PATCH', `runs/${id}`, edit);
    },
    remove: async (id, folder) => {
      await send('DELETE', `runs/${id}`, { folder });
    },
    imageAddress: (id, split, index) => `${BASE}/runs/${id}/images/${index}?split=${split}`,
    shareAddress: (runs, comparisons, view) => address('share', { runs, comparisons, view }),
    listen,
  };
}

function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    if (typeof value === 'string' || typeof value === 'number') parameters.set(name, String(value));
    else if (value.length > 0) parameters.set(name, value.join(','));
  }
  const text = parameters.toString();
  return `${BASE}/${path}${text === '' ? '' : `?${text}`}`;
}

async function get<T>(path: string, query: Query = {}): Promise<T> {
  return (await request(address(path, query), {})).json() as Promise<T>;
}

async function send(method: string, path: string, body: RunEdit | { folder: string }): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  await request(address(path), { method, headers, body: JSON.stringify(body) });
}

async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch {
    throw new ApiError(0, 'The dashboard does not answer. Start it again with cohort dashboard.');
  }
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  const isError =
    typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string';
  throw new ApiError(
    response.status,
    isError ? String(body.error) : `The dashboard answered ${response.status}.`,
  );
}

async function nullIfMissing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** The browser reconnects by itself and says what it has seen. */
function listen(
  onChange: (runs: readonly string[]) => void,
  onConnection: (isOpen: boolean) => void,
): () => void {
  const source = new EventSource(`${BASE}/events`);
  source.addEventListener('open', () => {
    onConnection(true);
  });
  source.addEventListener('error', () => {
    onConnection(false);
  });
  source.addEventListener('change', (event: MessageEvent<string>) => {
    const { runs } = JSON.parse(event.data) as { runs: string[] };
    onChange(runs);
  });
  return () => {
    source.close();
  };
}
