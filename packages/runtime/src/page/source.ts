/** Where the page finds the exported network: inside itself (`--single-file`) or in its own folder. */
import { manifestName, type ManifestModel, type Precision } from '../classifier/fields.ts';
import { readLocation } from '../classifier/files.ts';
import type { Manifest } from '../classifier/manifest.ts';
import { parseManifest } from '../classifier/open.ts';
import { MissingFileError } from '../errors.ts';
import type { TaskManifest } from '../tasks/taskManifest.ts';
import { decodeBase64 } from '../wasm/base64.ts';
import type { MakeView, PageTask } from './task.ts';

/** Identifier of the element that holds the export in a single file. */
export const embeddedId = 'export';

/** An export that the page can load in one of its precisions. */
export interface PageSource {
  readonly manifest: Manifest | TaskManifest;
  /** What the run was trained on, for the title; empty where the manifest does not say. */
  readonly dataset: string;
  /** Model files, the smallest first. */
  readonly models: readonly ManifestModel[];
  load(precision: Precision): Promise<MakeView>;
}

interface Embedded {
  readonly manifest: unknown;
  /** Content by path, in base64. */
  readonly files: Readonly<Record<string, string>>;
}

export async function findSource<Any extends Manifest | TaskManifest>(
  task: PageTask<Any>,
): Promise<PageSource> {
  const element = document.getElementById(embeddedId);
  if (element !== null) {
    const { manifest, files } = JSON.parse(element.textContent) as Embedded;
    const checked = task.read(manifest);
    const models = checked.models.filter(({ path }) => path in files);
    return sourceOf(manifest, checked, models, (precision) => {
      const entry = models.find((model) => model.precision === precision);
      const path = entry?.path ?? '';
      return task.load({ manifest, files: { [path]: decodeBase64(files[path] ?? '') } }, { precision });
    });
  }
  if (location.protocol === 'file:') {
    throw new MissingFileError(
      'The network',
      'browsers do not load files for a page that was opened from disk. Open it through a web server, or export again with --single-file',
    );
  }
  const early = readEarly();
  const manifest = parseManifest(await readLocation(manifestName));
  const checked = task.read(manifest);
  return sourceOf(manifest, checked, checked.models, async (precision) => {
    const path = checked.models.find((model) => model.precision === precision)?.path ?? '';
    const bytes = await early.get(path);
    early.delete(path);
    return bytes === undefined
      ? task.load(checked, { folder: '.', precision })
      : task.load({ manifest, files: { [path]: bytes } }, { precision });
  });
}

/**
 * The models that the page begins to load in its head, without waiting for the manifest; undefined where one could not be read, which
 * is tried again when it is needed.
 */
function readEarly(): Map<string, Promise<Uint8Array | undefined>> {
  const links = document.querySelectorAll<HTMLLinkElement>('link[rel=preload][href$=".onnx"]');
  const paths = Array.from(links, (link) => decodeURI(link.getAttribute('href') ?? ''));
  return new Map(paths.map((path) => [path, readLocation(path).catch(() => undefined)]));
}

function sourceOf(
  value: unknown,
  manifest: Manifest | TaskManifest,
  models: readonly ManifestModel[],
  load: PageSource['load'],
): PageSource {
  const { run } = value as { run?: { dataset?: unknown; id?: unknown } };
  return {
    manifest,
    dataset: nameOf(run?.dataset, run?.id),
    models: [...models].sort((a, b) => a.bytes - b.bytes),
    load,
  };
}

/** The dataset; for a folder of the user's own, the run without its time: `photos` of `photos-20261129-195630`. */
function nameOf(dataset: unknown, id: unknown): string {
  if (typeof dataset !== 'string') return '';
  if (dataset !== 'folder' || typeof id !== 'string') return dataset;
  return id.replace(/-\d{8}-\d{6}(-\d+)?$/, '');
}
