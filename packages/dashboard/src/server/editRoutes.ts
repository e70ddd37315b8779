/** Routes that change runs: name, note, tags, archive, deletion. They are there only where the dashboard was started for it. */
import type { Hono } from 'hono';
import { removeRun, renameRun } from '@cohort-ml/runs';
import type { RunEdit } from '../api/types.ts';
import { writeAnnotations } from '../catalogue/annotations.ts';
import { isObject } from '../json.ts';
import type { AppContext } from './context.ts';
import { RequestError } from './query.ts';
import { entryOf } from './runRoutes.ts';

const MOST_BYTES = 64 * 1024;

/** Adds the routes. */
export function addEditRoutes(api: Hono, given: AppContext): void {
  const { catalogue, canEdit } = given;
  const refuseReadOnly = (): void => {
    if (!canEdit)
      throw new RequestError(403, 'This dashboard is read-only. Start it with --edit to change runs.');
  };

  api.patch('/runs/:id', async (context) => {
    refuseReadOnly();
    const entry = entryOf(given, context.req.param('id'));
    const edit = parseEdit(await bodyOf(context.req.raw));
    const { name, ...annotations } = edit;
    if (Object.keys(annotations).length > 0) writeAnnotations(entry.path, annotations);
    if (name !== undefined) renameRun(entry.path, name);
    catalogue.refresh(entry.id);
    return context.json(entry.row({ settings: [], metrics: [] }));
  });

  api.delete('/runs/:id', async (context) => {
    refuseReadOnly();
    const entry = entryOf(given, context.req.param('id'));
    const body = await bodyOf(context.req.raw);
    // The page asks first; a program has to name what it means as well.
    if (!isObject(body) || body.folder !== entry.folder) {
      throw new RequestError(
        400,
        `Deleting needs the body {"folder": ${JSON.stringify(entry.folder)}}. Send it to confirm.`,
      );
    }
    removeRun(entry.path);
    catalogue.remove(entry.id);
    return context.json({ deleted: entry.id });
  });
}

async function bodyOf(request: Request): Promise<unknown> {
  if (!(request.headers.get('content-type') ?? '').startsWith('application/json')) {
    throw new RequestError(400, 'Expected a body of type application/json. Set the header.');
  }
  const text = await request.text();
  if (text.length > MOST_BYTES)
    throw new RequestError(400, `The body is longer than ${MOST_BYTES} bytes. Shorten it.`);
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestError(400, 'The body is not JSON. Correct it.');
  }
}

function parseEdit(body: unknown): RunEdit {
  if (!isObject(body)) throw new RequestError(400, 'Expected an object with name, note, tags or archived.');
  const { name, note, tags, archived, ...others } = body;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new RequestError(400, `${unknown}: unknown. Give name, note, tags or archived.`);
  }
  const isText = (value: unknown): value is string => typeof value === 'string';
  const check = (isRight: boolean, key: string, kind: string): void => {
    if (!isRight) throw new RequestError(400, `${key}: expected ${kind}.`);
  };
  check(
    name === undefined || (isText(name) && name.length <= 200),
    'name',
    'a text of at most 200 characters',
  );
  check(note === undefined || isText(note), 'note', 'a text');
  check(tags === undefined || (Array.isArray(tags) && tags.every(isText)), 'tags', 'a list of texts');
  check(archived === undefined || typeof archived === 'boolean', 'archived', 'true or false');
  return {
    ...(isText(name) ? { name } : {}),
    ...(isText(note) ? { note } : {}),
    ...(Array.isArray(tags) ? { tags: tags.filter(isText) } : {}),
    ...(typeof archived === 'boolean' ? { archived } : {}),
  };
}
