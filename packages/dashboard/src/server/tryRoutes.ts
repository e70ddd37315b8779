/** Routes of "Try it": files of an exported network, only those that its manifest names, and the page that runs it. */
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { exportFolders, servedPaths } from '../run/exports.ts';
import type { AppContext } from './context.ts';
import { contentType } from './pageRoutes.ts';
import { RequestError } from './query.ts';
import { entryOf } from './runRoutes.ts';
import { FRAMED_HEADERS } from './security.ts';

/** Adds the routes. */
export function addTryRoutes(api: Hono, given: AppContext): void {
  api.get('/runs/:id/exports/:export/:path{.+}', async (context) => {
    const { id, export: exportId, path } = context.req.param();
    const entry = entryOf(given, id);
    const found = exportFolders(entry.path, given.catalogue.root).find((each) => each.id === exportId);
    const ofPage = found === undefined ? undefined : (await given.knowledge.tryPage?.())?.get(path);
    if (ofPage !== undefined) {
      return new Response(new Uint8Array(ofPage), {
        headers: {
          ...FRAMED_HEADERS,
          'Content-Type': contentType(path),
          'Cache-Control': 'private, no-cache',
        },
      });
    }
    if (found !== undefined && path === 'index.html' && !servedPaths(found.manifest).has(path)) {
      return new Response(WITHOUT_RUNTIME, {
        headers: { ...FRAMED_HEADERS, 'Content-Type': contentType(path), 'Cache-Control': 'no-store' },
      });
    }
    if (found === undefined || !servedPaths(found.manifest).has(path)) {
      throw new RequestError(404, 'There is no such file in the exported folder. Export the run again.');
    }
    const file = join(found.path, path);
    if (!existsSync(file))
      throw new RequestError(404, `${path} is missing from the exported folder. Export the run again.`);
    return new Response(new Uint8Array(await readFile(file)), {
      headers: {
        ...FRAMED_HEADERS,
        'Content-Type': contentType(path),
        'Cache-Control': 'private, no-cache',
      },
    });
  });
}

const WITHOUT_RUNTIME =
  '<!doctype html><html lang="en"><title>Try it</title><p>The runtime of exported networks is not installed or not built. Run npm run setup in the folder of the repository.</p></html>';
