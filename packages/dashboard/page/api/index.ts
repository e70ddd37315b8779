/** The page's data: of a server, or of the page itself where it was written to a file. */
import type { SharedData } from '../../src/api/shared.ts';
import type { Api } from './client.ts';
import { serverApi } from './server.ts';
import { sharedApi } from './shared.ts';

export { ApiError, type Api, type Columns, type SeriesRequest } from './client.ts';

/** Data that were written into the page; null for a page that a server answers. */
export const sharedData: SharedData | null = __SHARED__ ? readShared() : null;

/** The one source of everything on the page. */
export const api: Api = sharedData === null ? serverApi() : sharedApi(sharedData);

function readShared(): SharedData {
  if (window.cohortData !== undefined) return window.cohortData;
  return JSON.parse(document.getElementById('data')?.textContent ?? '{}') as SharedData;
}
