/** Where the page finds the exported network: inside itself (`--single-file`) or in its own folder. */
import { createClassifier, type Classifier } from '../classifier/classifier.ts';
import { MissingFileError, ModelFileError } from '../errors.ts';
import {
  manifestName,
  readManifest,
  type Manifest,
  type ManifestModel,
  type Precision,
} from '../classifier/manifest.ts';
import { readLocation } from '../classifier/files.ts';
import { decodeBase64 } from '../wasm/base64.ts';

/** Identifier of the element that holds the export in a single file. */
export const embeddedId = 'export';

/** An export that the page can load in one of its precisions. */
export interface PageSource {
  readonly manifest: Manifest;
  /** What the run was trained on, for the title; empty where the manifest does not say. */
  readonly dataset: string;
  /** Model files, the smallest first. */
  readonly models: readonly ManifestModel[];
  load(precision: Precision): Promise<Classifier>;
}

interface Embedded {
  readonly manifest: unknown;
  /** Content by path, in base64. */
  readonly files: Readonly<Record<string, string>>;
}

export async function findSource(): Promise<PageSource> {
  const element = document.getElementById(embeddedId);
  if (element !== null) {
    const { manifest, files } = JSON.parse(element.textContent) as Embedded;
    const models = readManifest(manifest).models.filter(({ path }) => path in files);
    return sourceOf(manifest, models, (precision) => {
      const entry = models.find((model) => model.precision === precision);
      const path = entry?.path ?? '';
      return createClassifier(
        { manifest, files: { [path]: decodeBase64(files[path] ?? '') } },
        { precision },
      );
    });
  }
  if (location.protocol === 'file:') {
    throw new MissingFileError(
      'The network',
      'browsers do not load files for a page that was opened from disk. Open it through a web server, or export again with --single-file',
    );
  }
  const manifest = parse(await readLocation(manifestName));
  return sourceOf(manifest, readManifest(manifest).models, (precision) =>
    createClassifier(readManifest(manifest), { folder: '.', precision }),
  );
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch (error) {
    throw new ModelFileError(`${manifestName} is no JSON. Copy the whole exported folder again.`, {
      cause: error,
    });
  }
}

function sourceOf(value: unknown, models: readonly ManifestModel[], load: PageSource['load']): PageSource {
  const { run } = value as { run?: { dataset?: unknown; id?: unknown } };
  return {
    manifest: readManifest(value),
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
