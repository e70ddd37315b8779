/** Exported networks of a run: folders with a manifest, in the run folder or in `exports` next to the runs. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ExportEntry } from '../api/types.ts';
import { folderId } from '../catalogue/folders.ts';
import { isObject, textOrNull, textsOf, valueAt, wholeOrNull, type JsonObject } from '../json.ts';

const MANIFEST = 'cohort.json';
const FORMAT = 'cohort-export';

/** A folder that was found. */
export interface FoundExport {
  readonly id: string;
  readonly path: string;
  readonly manifest: JsonObject;
}

/** The exported folders of a run, with the id under which their files are served. */
export function exportFolders(runPath: string, root: string): FoundExport[] {
  const beside = [join(root, 'exports'), join(dirname(root), 'exports')].flatMap(foldersIn);
  const own = [join(runPath, 'export'), ...foldersIn(join(runPath, 'exports'))];
  return [
    ...own.map((path) => ({ path, isOwn: true })),
    ...beside.map((path) => ({ path, isOwn: false })),
  ].flatMap(({ path, isOwn }) => {
    const manifest = readManifest(path);
    if (manifest === null) return [];
    if (!isOwn && valueAt(manifest, 'run', 'id') !== basename(runPath)) return [];
    return [{ id: folderId(path), path, manifest }];
  });
}

/** The same for the API. */
export function findExports(runPath: string, root: string): ExportEntry[] {
  return exportFolders(runPath, root).map(({ id, path, manifest }) => ({
    id,
    name: basename(path),
    labels: textsOf(manifest.labels).length,
    models: modelsOf(manifest),
  }));
}

/** Paths that the manifest lists, and its own: nothing else of the folder is served, and nothing outside it whatever a manifest says. */
export function servedPaths(manifest: JsonObject): Set<string> {
  const models = Array.isArray(manifest.models) ? manifest.models : [];
  const paths = models.flatMap((model: unknown) => textOrNull(valueAt(model, 'path')) ?? []);
  const files = isObject(manifest.files) ? Object.keys(manifest.files) : [];
  const isInside = (path: string): boolean => /^(?!\.)[\w.-]+(?:\/(?!\.)[\w.-]+)*$/.test(path);
  return new Set([MANIFEST, ...[...paths, ...files].filter(isInside)]);
}

function modelsOf(manifest: JsonObject): { precision: string; bytes: number }[] {
  const models = Array.isArray(manifest.models) ? manifest.models : [];
  return models.map((model: unknown) => ({
    precision: textOrNull(valueAt(model, 'precision')) ?? 'unknown',
    bytes: wholeOrNull(valueAt(model, 'bytes')) ?? 0,
  }));
}

function readManifest(folder: string): JsonObject | null {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8'));
    return isObject(manifest) && manifest.format === FORMAT ? manifest : null;
  } catch {
    return null;
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(path, name));
  } catch {
    return [];
  }
}
