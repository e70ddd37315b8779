/** Serves the built page: a fixed list of files, read once, so that no path of a request ever reaches the disk. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Hono } from 'hono';
import type { AppContext } from './context.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=UTF-8',
  '.js': 'text/javascript; charset=UTF-8',
  '.mjs': 'text/javascript; charset=UTF-8',
  '.css': 'text/css; charset=UTF-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json; charset=UTF-8',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
};

/** Type of a file by its ending. */
export function contentType(name: string): string {
  return TYPES[extname(name)] ?? 'application/octet-stream';
}

/** Adds the routes. */
export function addPageRoutes(app: Hono, { pageFolder }: Pick<AppContext, 'pageFolder'>): void {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of pageFiles(pageFolder)) {
    files.set(`/${name}`, new Uint8Array(readFileSync(join(pageFolder, name))));
  }
  app.get('/', (context) => {
    const page = files.get('/index.html');
    if (page === undefined) {
      return context.text(
        'The dashboard is not built yet. Run npm run setup in the folder of the repository.',
        503,
      );
    }
    return new Response(page, {
      headers: { 'Content-Type': contentType('index.html'), 'Cache-Control': 'no-cache' },
    });
  });
  app.get('*', (context) => {
    const file = files.get(context.req.path);
    if (file === undefined) return context.json({ error: 'There is no such file.' }, 404);
    // Names of built files change with their content.
    const age = context.req.path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
    return new Response(file, {
      headers: { 'Content-Type': contentType(context.req.path), 'Cache-Control': age },
    });
  });
}

function pageFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    );
}
